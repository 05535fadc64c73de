"""The README's sample of `load` is a recorded run, printed by the code of today."""

from streamgauge.metrics.definitions import LATENCIES
from streamgauge.rundir.runs import RunFile
from tools.sample import printed, recorded, sample


def test_the_sample_has_the_rows_that_load_prints() -> None:
    lines = sample().splitlines()
    names = [line.split()[0] for line in lines if line[:1].isalpha()]
    figures = names[names.index("ms") + 1 : names.index("streams")]
    shown = [metric.name for metric in LATENCIES if metric.terminal and not metric.only_if_present]
    assert figures == [name for name in shown if not name.startswith("adj_")], "adj_ rows are for runs with failures"
    labels = ["streams", "throughput", "in", "steady", "goodput", "validity", "read", "SLO", "ttft", "against"]
    assert names[-len(labels) :] == labels
    assert sum(line.startswith("  95%") for line in lines) == 4


def test_the_recorded_run_is_one_that_may_be_shown() -> None:
    run = recorded()
    assert run.summary is not None
    assert run.summary.validity.verdict == "VALID"
    assert run.truth is not None
    assert run.truth.direct
    assert (run.target, run.machine, run.workers) == ("", None, [])


def test_the_sample_fits_a_page_and_has_no_colours() -> None:
    assert all(len(line) <= 120 and line == line.rstrip() for line in sample().splitlines())
    assert "\x1b" not in sample()


def test_a_run_without_truth_is_printed_without_it() -> None:
    run: RunFile = recorded()
    run.truth = None
    assert "against the ledger" not in printed(run)
