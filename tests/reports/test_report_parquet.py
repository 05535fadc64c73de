"""streams.parquet, read back with pandas."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from streamgauge.errors import UsageError
from streamgauge.metrics.definitions import OF_STREAM
from streamgauge.metrics.facts import StreamFacts
from streamgauge.protocol.outcome import Outcome
from streamgauge.reports.parquet import write_parquet
from streamgauge.rundir import runs
from streamgauge.units import MS
from tests.reports.report_builders import full_run, stream, write_streams


def test_a_row_holds_the_metrics_of_its_stream(tmp_path: Path) -> None:
    records = [stream(0, ttft_ms=250), stream(1, tokens=0, outcome=Outcome.TRUNCATED, detail="no token")]
    write_streams(tmp_path, records)

    frame = pd.read_parquet(write_parquet(tmp_path)).set_index("id")

    for record in records:
        row = frame.loc[record.id]
        assert row["outcome"] == record.outcome.value
        assert row["start_ns"] == record.start_ns
        for metric in OF_STREAM:
            found, value = row[metric.column], metric.of_stream(StreamFacts(record))
            assert pd.isna(found) if value is None else found == value, metric.name
    assert frame.loc["s1", "detail"] == "no token"
    assert "token_at_ns" not in frame


def test_events_are_lists_beside_the_rest(tmp_path: Path) -> None:
    record = stream(0, tokens=5, per_read=2)
    write_streams(tmp_path, [record])

    row = pd.read_parquet(write_parquet(tmp_path, events=True)).iloc[0]

    assert row["token_at_ns"].tolist() == [at * MS for at in (200, 200, 220, 220, 240)]
    assert row["read_at_ns"].tolist() == record.reads.at_ns
    assert row["read_bytes"].tolist() == record.reads.bytes


def test_every_record_that_can_be_read_has_a_row(tmp_path: Path) -> None:
    directory = full_run(tmp_path)
    contradictory = stream(99, tokens=3)
    contradictory.token_reads = [0, 1, 7]
    write_streams(directory, [contradictory])
    with (directory / runs.STREAMS).open("ab") as file:
        file.write(b'{"schema":1,"id":"to')
    assert len(pd.read_parquet(write_parquet(directory))) == 31
    assert not list(directory.glob(".*"))


def test_a_directory_without_records_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no streams\.jsonl"):
        write_parquet(tmp_path)


def test_without_pyarrow_the_error_names_the_package_to_install(tmp_path: Path) -> None:
    directory = full_run(tmp_path)
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"  # what an import of something that is not installed finds
        "from streamgauge.cli import main\n"
        f"sys.argv = ['streamgauge', 'report', {str(directory)!r}, '--parquet']; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'streamgauge[parquet]'" in done.stderr
    assert not (directory / "streams.parquet").exists()
