"""A metric is one declaration: everything that shows metrics derives from it, for the real ones and for a new one."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec

from streamgauge.metrics.condition import OBJECTIVES
from streamgauge.metrics.definitions import LATENCIES, METRICS, OF_RUN, OF_STREAM
from streamgauge.metrics.summary import Summary, Totals
from streamgauge.reports.tables import definitions, distributions, rates
from tests.builders.made import made
from tools import readme_metrics, summary_fields

ROOT = Path(__file__).resolve().parents[3]

NOT_METRICS = {
    "streams", "window_s", "output_tokens", "token_events", "tokens_source", "slos", "stamp_source", "unstamped_reads",
    "validity", "warmup_streams", "slo_results", "window_tokens", "undecided_streams", "goodput_at_most",
    "longest_cut_wait_ms", "doubted_usages", "usage_doubt", "share_intervals",
    "in_flight", "steady_state", "lengths", "dependence",
}  # fmt: skip


def test_the_generated_fields_are_those_of_the_declarations() -> None:
    assert summary_fields.FILE.read_text(encoding="utf-8") == summary_fields.source(), "run: make docs"


def test_every_list_of_metrics_is_the_declarations() -> None:
    totals = Totals()
    totals.add(msgspec.structs.replace(made(10, 20), intended_ns=made().start_ns))
    summary = totals.summary()
    names = [metric.name for metric in METRICS]

    assert [metric.name for metric in LATENCIES] + [metric.name for metric in OF_RUN] == names
    assert set(Summary.__struct_fields__) - NOT_METRICS == {metric.field for metric in METRICS}
    assert [row[0] for row in distributions(summary).rows] == [metric.name for metric in LATENCIES]
    assert {row[0] for row in rates(summary).rows} >= {metric.title for metric in OF_RUN}
    assert [row[0] for row in definitions().rows] == names
    assert [line.split("`")[1] for line in readme_metrics.table().splitlines() if line.startswith("| `")] == names
    assert list(OBJECTIVES) == [metric.name for metric in METRICS if metric.objective]
    assert len({metric.column for metric in OF_STREAM}) == len(OF_STREAM)


DECLARATION = """
    PerStream(
        name="answer_gap_max",
        definition="longest gap between token events",
        absent="fewer than 2 token events",
        value=lambda stream: max(stream.gaps_ns, default=None),
        objective=True,
        terminal=True,
    ),
"""
# Puts the declaration into definitions.py, and its field into the generated file, in memory, before they are imported.
PROGRAM = """
import importlib.util, json, sys, types
from pathlib import Path

def module(name, source):
    sys.modules[name] = made = types.ModuleType(name)
    exec(source, made.__dict__)

definitions = Path(importlib.util.find_spec("streamgauge.metrics.definitions").origin).read_text(encoding="utf-8")
end = "\\n)\\n\\nBY_NAME"
assert definitions.count(end) == 1
module("streamgauge.metrics.definitions", definitions.replace(end, sys.argv[2] + end[1:]))
from tools import readme_metrics, summary_fields
module("streamgauge.metrics.summary_fields", summary_fields.source())

import msgspec, pandas
from streamgauge.cli.load_tables import print_summary
from streamgauge.metrics.abort_rules import parse_abort
from streamgauge.metrics.slo import parse_slo
from streamgauge.metrics.summary import Totals
from streamgauge.reports import tables
from streamgauge.reports.parquet import write_parquet
from streamgauge.rundir import runs
from tests.builders.made import made

directory = Path(sys.argv[1])
runs.RecordWriter(directory).add(made(10, 30, 90))
totals = Totals([parse_slo("answer_gap_max < 50ms")])
totals.add(made(10, 30, 90))
summary = totals.summary()
print_summary(summary)
print(json.dumps({
    "summary": msgspec.to_builtins(summary)["answer_gap_max_ms"]["p50"],
    "slo": msgspec.to_builtins(summary.slo_results),
    "goodput": summary.goodput,
    "abort": str(parse_abort("answer_gap_max > 1s")),
    "report": [row[2] for row in tables.distributions(summary).rows if row[0] == "answer_gap_max"],
    "definitions": [row[1] for row in tables.definitions().rows if row[0] == "answer_gap_max"],
    "parquet": float(pandas.read_parquet(write_parquet(directory))["answer_gap_max_ns"][0]),
    "readme": "longest gap between token events" in readme_metrics.table(),
}))
"""


def test_a_new_declaration_comes_out_everywhere(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), DECLARATION]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *terminal, written = done.stdout.strip().splitlines()
    assert json.loads(written) == {
        "summary": 60,
        "slo": [
            {
                "slo": "answer_gap_max < 50ms",
                "measured": "60ms",
                "verdict": "missed",
                "reason": None,
                "interval": None,
                "streams": None,
                "needed": None,
                "counted": "stream",
            }
        ],
        "goodput": 0,
        "abort": "answer_gap_max p95 > 1000ms for 10s",
        "report": ["60.0"],
        "definitions": ["longest gap between token events"],
        "parquet": 60_000_000,
        "readme": True,
    }
    assert any(line.split()[:3] == ["answer_gap_max", "60.00", "60.00"] for line in terminal)
