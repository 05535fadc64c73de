"""Run directories against each other: identity, verdicts, what failed, and order effects."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamgauge.comparing.change import DEFAULT, Change, parse_change
from streamgauge.comparing.compare import compare
from streamgauge.comparing.report import CompareReport, Row, RuleResult
from streamgauge.comparing.verdict import Finding, RuleVerdict
from streamgauge.conformance.result import Verdict
from streamgauge.errors import ExitCode, UsageError
from streamgauge.metrics.summary import Window
from streamgauge.metrics.validity import Doubt, Scope, Validity
from streamgauge.protocol.outcome import Outcome
from streamgauge.reports.compare_html import compare_html
from streamgauge.reports.compare_markdown import compare_markdown
from streamgauge.reports.junit import compare_junit
from streamgauge.rundir import runs
from streamgauge.rundir.runs import RunFile
from streamgauge.units import MS
from tests.builders.compared import BEGIN_NS, EVERY_NS, SETTINGS, simulated_run, stream, write_run
from tests.reports.report_builders import check, checks_file

P50 = (parse_change("ttft p50 > +5%"),)


def report_of(*sides: Path | str, fail_on: tuple[Change, ...] = P50, **options: Any) -> CompareReport:
    return compare(*map(str, sides), fail_on=fail_on, resamples=60, **options)


def row(report: CompareReport, metric: str, statistic: str | None) -> Row:
    return next(one for one in report.against[0].rows if (one.metric, one.statistic) == (metric, statistic))


def only_rule(report: CompareReport) -> RuleResult:
    (rule,) = report.against[0].rules
    return rule


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated_run(tmp_path_factory.mktemp("base") / "a", 1)


def test_the_same_target_twice_is_no_regression(base: Path, tmp_path: Path) -> None:
    report = report_of(base, simulated_run(tmp_path / "b", 2))
    assert report.exit_code is ExitCode.OK
    assert only_rule(report).verdict is RuleVerdict.NONE
    assert row(report, "ttft", "p50").finding is Finding.NONE_VISIBLE
    assert report.against[0].identity == "Same workload and lengths, same client."
    assert "All runs of" in " ".join(report.against[0].notes)


def test_a_row_promises_to_show_5_percent_only_where_the_noise_is_smaller(base: Path, tmp_path: Path) -> None:
    """Three runs of one side that differ by 8 % are a noise of 8 %, however long they are."""
    levels = [simulated_run(tmp_path / "many" / str(at), 40 + at, factor=1 + 0.04 * at) for at in range(3)]
    found = row(report_of(base, levels[0].parent), "ttft", "p50")
    assert (found.noise or 0) > 0.05
    assert not found.shows_five
    quiet = row(report_of(base, simulated_run(tmp_path / "b", 2)), "tpot", "p50")
    assert quiet.noise == 0
    assert quiet.shows_five


def test_a_slower_target_is_a_regression_and_a_faster_one_is_better(base: Path, tmp_path: Path) -> None:
    slower, faster = simulated_run(tmp_path / "s", 3, factor=1.2), simulated_run(tmp_path / "f", 4, factor=0.8)
    report = report_of(base, slower, faster)
    assert report.exit_code is ExitCode.FAILED
    assert [versus.verdict for versus in report.against] == [RuleVerdict.REGRESSION, RuleVerdict.NONE]
    assert row(report, "ttft", "p50").finding is Finding.WORSE
    assert report.against[1].rows[0].finding is Finding.BETTER
    assert [side.name for side in report.sides] == ["A", "B", "C"]


def test_too_short_runs_give_no_verdict_and_say_how_many_streams_would(tmp_path: Path) -> None:
    a, b = simulated_run(tmp_path / "a", 5, count=110), simulated_run(tmp_path / "b", 6, count=110)
    report = report_of(a, b, fail_on=(parse_change("ttft p95 > +3%"),))
    assert report.exit_code is ExitCode.CANNOT_MEASURE
    assert only_rule(report).verdict is RuleVerdict.UNDECIDED
    assert (only_rule(report).needed or 0) > 110
    assert row(report, "ttft", "p99").finding is Finding.NOT_JUDGED
    assert row(report, "ttft", "p99").note == "needs 500 streams a side"


def test_another_workload_is_refused_and_named_in_the_first_line_with_anyway(base: Path, tmp_path: Path) -> None:
    other = simulated_run(tmp_path / "b", 2, settings={"load": "9 users", "users": 9})
    with pytest.raises(UsageError, match="were not measured alike: load 5 users → 9 users"):
        report_of(base, other)
    report = report_of(base, other, anyway=True)
    assert report.against[0].identity.startswith("NOT ALIKE: load 5 users → 9 users; users 5 → 9")
    assert not report.against[0].alike


def test_what_leaves_the_load_the_same_is_named(base: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "duration_s": 60.0, "seed": 2}
    other = simulated_run(tmp_path / "b", 2, target="http://127.0.0.1:8/", streamgauge="0.0.1", settings=settings)
    line = report_of(base, other).against[0].identity
    assert line.startswith("Same workload and lengths. Differs: target ")
    for part in ("streamgauge ", "duration_s 30.0 → 60.0", "seed 1 → 2"):
        assert part in line


def test_longer_answers_spoil_the_figures_that_depend_on_them(base: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "b", [stream(number, 2e8 + number % 7, tokens=8) for number in range(400)])
    report = report_of(base, other, fail_on=(parse_change("e2e p50 > +5%"),))
    assert only_rule(report).verdict is RuleVerdict.UNDECIDED
    assert only_rule(report).reason == "not comparable: mean answer, tokens 5.0 → 8.0"
    assert row(report, "ttft", "p50").finding is not Finding.NOT_JUDGED


def test_a_warmer_cache_spoils_the_time_to_the_first_token(tmp_path: Path) -> None:
    a, b = (
        write_run(tmp_path / name, [stream(number, 2e8, usage_cached_tokens=cached) for number in range(100)])
        for name, cached in (("a", 4), ("b", 36))
    )
    report = report_of(a, b)
    assert only_rule(report).reason == "not comparable: share of prompt tokens from a cache 10% → 90%"


def doubted(directory: Path, client: Validity) -> Path:
    """The run, with another verdict on its client."""
    run = runs.read_file(directory / runs.RUN, RunFile)
    assert run is not None
    assert run.summary is not None
    run.summary = msgspec.structs.replace(run.summary, validity=client)
    runs.write(directory / runs.RUN, run)
    return directory


@pytest.mark.parametrize(
    ("concerns", "ttft", "itl"),
    [
        (Scope.GAPS, RuleVerdict.REGRESSION, RuleVerdict.UNDECIDED),
        (Scope.STARTS, RuleVerdict.UNDECIDED, RuleVerdict.NONE),
        (Scope.EVERYTHING, RuleVerdict.UNDECIDED, RuleVerdict.UNDECIDED),
    ],
)
def test_a_doubt_about_one_figure_leaves_the_verdict_on_another_alone(
    base: Path, tmp_path: Path, concerns: Scope, ttft: RuleVerdict, itl: RuleVerdict
) -> None:
    doubt = Doubt("SUSPECT", "the client was busy", frozenset({concerns}))
    other = simulated_run(tmp_path / "b", 3, factor=1.5)
    doubted(other, Validity("SUSPECT", "rule", [doubt.reason], [doubt]))

    report = report_of(base, other, fail_on=tuple(map(parse_change, ("ttft p50 > +10%", "itl p50 > +10%"))))

    assert [rule.verdict for rule in report.against[0].rules] == [ttft, itl]
    assert report.against[0].doubts == [f"{other} is SUSPECT: the client was busy"]


def test_a_doubtful_client_decides_nothing(base: Path, tmp_path: Path) -> None:
    other = simulated_run(tmp_path / "b", 3, factor=1.5)
    doubted(other, Validity("SUSPECT", "rule", ["the client was busy"]))

    report = report_of(base, other)

    assert report.exit_code is ExitCode.CANNOT_MEASURE
    assert only_rule(report).reason == f"nothing is decided: {other} is SUSPECT: the client was busy"
    assert "validity VALID → SUSPECT" in report.against[0].identity


def test_failures_are_shown_side_by_side_and_a_rise_is_a_regression(base: Path, tmp_path: Path) -> None:
    cut = {"outcome": Outcome.TRUNCATED, "detail": "cut"}
    failing = [stream(number, 2e8, **({} if number % 5 else cut)) for number in range(400)]
    report = report_of(base, write_run(tmp_path / "b", failing), fail_on=(parse_change("error_rate > +1pp"),))
    assert only_rule(report).verdict is RuleVerdict.REGRESSION
    assert [(one.outcome, one.detail, one.a, one.b) for one in report.against[0].failures] == [
        ("truncated", "cut", 0, 80)
    ]
    assert only_rule(report).measured is not None
    assert only_rule(report).measured.startswith("+20.00 pp (+1")


def with_objectives(directory: Path, slow: int, *slos: str) -> Path:
    """400 streams of which every `slow`-th has a TTFT of 900 ms, and the others one of 200 ms."""
    records = [stream(number, 2e8 if number % slow else 9e8) for number in range(400)]
    return write_run(directory, records, settings={**SETTINGS, "slos": list(slos)})


def test_goodput_is_compared_by_the_objectives_of_the_base(tmp_path: Path) -> None:
    base = with_objectives(tmp_path / "a", 40, "ttft p95 < 500ms", "error_rate < 1%", "not an objective")
    other = with_objectives(tmp_path / "b", 5, "ttft p95 < 2s")
    fall = (parse_change("goodput < -5pp"),)

    report = report_of(base, other, fail_on=fall)
    found = row(report, "goodput", None)
    assert (found.a, found.b, found.finding) == (0.975, 0.8, Finding.WORSE)
    assert only_rule(report).verdict is RuleVerdict.REGRESSION
    assert only_rule(report).measured is not None
    assert only_rule(report).measured.startswith("-17.50 pp (-2")
    assert "Goodput is judged by the objectives of the base: ttft p95 < 500ms." in report.against[0].notes

    back = report_of(other, base, fail_on=fall)
    assert row(back, "goodput", None).a == 1, "the objective of the other base"
    assert only_rule(back).verdict is RuleVerdict.NONE


def test_goodput_without_an_objective_has_no_row_and_no_verdict(base: Path, tmp_path: Path) -> None:
    report = report_of(base, simulated_run(tmp_path / "b", 2), fail_on=(parse_change("goodput < -5pp"),))
    assert [one.metric for one in report.against[0].rows if one.metric == "goodput"] == []
    assert only_rule(report).verdict is RuleVerdict.UNDECIDED


def test_goodput_is_not_compared_where_a_metric_of_its_objectives_is_not(tmp_path: Path) -> None:
    base = with_objectives(tmp_path / "a", 40, "e2e < 2s")
    longer = [stream(number, 2e8, tokens=9) for number in range(400)]
    other = write_run(tmp_path / "b", longer, settings={**SETTINGS, "slos": ["e2e < 2s"]})
    found = row(report_of(base, other), "goodput", None)
    assert found.finding is Finding.NOT_JUDGED
    assert (found.note or "").startswith("not comparable: mean answer, tokens")


def test_two_runs_without_a_failure_exclude_a_rise_when_they_are_long_enough(base: Path, tmp_path: Path) -> None:
    rise = (parse_change("error_rate > +1pp"),)
    assert only_rule(report_of(base, simulated_run(tmp_path / "b", 2), fail_on=rise)).verdict is RuleVerdict.NONE
    short = [simulated_run(tmp_path / name, 2, count=100) for name in ("c", "d")]
    found = only_rule(report_of(*short, fail_on=rise))
    assert found.verdict is RuleVerdict.UNDECIDED
    assert 384 <= (found.needed or 0) <= 450


def test_a_check_that_passed_and_fails_now_is_a_regression(tmp_path: Path) -> None:
    other = simulated_run(tmp_path / "b", 2)
    again = simulated_run(tmp_path / "a", 1)
    runs.write(again / runs.CHECKS, checks_file([check("one", Verdict.PASS), check("two", Verdict.FAIL)]))
    runs.write(other / runs.CHECKS, checks_file([check("one", Verdict.FAIL), check("two", Verdict.PASS)]))
    report = report_of(again, other, fail_on=(parse_change("checks"),))
    assert only_rule(report).verdict is RuleVerdict.REGRESSION
    assert only_rule(report).reason == "framing.one"
    changes = {change.id: (change.a, change.b, change.newly_fails) for change in report.against[0].checks}
    assert changes == {"framing.one": ("pass", "fail", True), "framing.two": ("fail", "pass", False)}


def test_without_checks_a_rule_about_them_has_no_verdict_and_no_place_in_the_default(
    base: Path, tmp_path: Path
) -> None:
    other = simulated_run(tmp_path / "b", 2)
    found = only_rule(report_of(base, other, fail_on=(parse_change("checks"),)))
    assert found.verdict is RuleVerdict.UNDECIDED
    assert "a side has no checks.json" in (found.reason or "")
    by_default = compare(base, other, resamples=60)
    assert [rule.rule for rule in by_default.against[0].rules] == [str(change) for change in DEFAULT][:-1]
    assert repr(by_default).startswith("<CompareReport ")


def begun(directory: Path, seed: int, at: int, *, factor: float) -> Path:
    """A run whose streams begin `at` minutes later."""
    made = simulated_run(directory, seed, count=200, factor=factor)
    records = [
        msgspec.structs.replace(record, start_ns=record.start_ns + at * 60_000_000_000)
        for record in runs.RecordReader(made)
    ]
    for name in (runs.STREAMS, runs.WINDOW):
        (made / name).unlink()
    writer = runs.RecordWriter(made)
    for record in records:
        writer.add(record)
    writer.close()
    return made


@pytest.mark.parametrize(("drift", "verdict"), [(1.0, RuleVerdict.NONE), (1.15, RuleVerdict.UNDECIDED)])
def test_a_drift_of_the_machine_shows_as_an_order_effect(tmp_path: Path, drift: float, verdict: RuleVerdict) -> None:
    """A, B, B, A of the same target, on a machine that becomes slower from run to run."""
    names = ["a1", "b1", "b2", "a2"]
    for at, name in enumerate(names):
        begun(tmp_path / name, 20 + at, at, factor=drift**at)
    a, b = (",".join(str(tmp_path / f"{side}{number}") for number in (1, 2)) for side in "ab")
    report = report_of(a, b, fail_on=(parse_change("ttft p50 > +30%"),))
    assert only_rule(report).verdict is verdict
    assert bool(report.against[0].doubts) is (drift > 1)
    if drift > 1:
        assert "the runs drifted by +" in report.against[0].doubts[0]


def test_a_directory_of_runs_is_one_side(base: Path, tmp_path: Path) -> None:
    for number in range(3):
        simulated_run(tmp_path / "many" / str(number), 30 + number, count=150)
    report = report_of(base, tmp_path / "many")
    assert len(report.sides[1].runs) == 3
    assert report.sides[1].streams == 450


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "is not a directory"),
        (lambda path: path.mkdir(), "has neither run.json nor run directories in it"),
        (lambda path: write_run(path, [stream(0, 1e8, warmup=True)]), "holds no measured stream"),
    ],
)
def test_what_is_no_run_is_one_message(base: Path, tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path / "b")
    with pytest.raises(UsageError, match=message):
        report_of(base, tmp_path / "b")


EXTREMES = {
    "no time at all": [stream(number, 0) for number in range(40)],
    "the longest times": [stream(number, 2.0**60) for number in range(40)],
    "one stream": [stream(0, 2e8)],
    "one moment": [msgspec.structs.replace(stream(number, 2e8 + number), start_ns=BEGIN_NS) for number in range(40)],
    "a clock that was set": [
        *(stream(number, 2e8) for number in range(39)),
        msgspec.structs.replace(stream(39, 2e8), start_ns=2**61 - 10**9),
    ],
    "only failures": [stream(number, 2e8, outcome=Outcome.TRUNCATED, detail="x" * 5_000) for number in range(40)],
    "only cut streams": [stream(number, 2e8, outcome=Outcome.INCOMPLETE) for number in range(40)],
}


@pytest.mark.parametrize("name", EXTREMES)
def test_extreme_records_decide_nothing_and_break_nothing(base: Path, tmp_path: Path, name: str) -> None:
    other = write_run(tmp_path / "b", EXTREMES[name])
    report = compare(base, other, anyway=True, resamples=10, fail_on=("ttft p99 > +900%",))
    assert report.exit_code is ExitCode.CANNOT_MEASURE
    assert other.name in compare_html(report)
    assert compare_markdown(report)
    assert compare_junit(report)


def test_one_side_is_not_a_comparison(base: Path) -> None:
    with pytest.raises(UsageError, match="two sides at least"):
        report_of(base)


def test_the_same_seed_gives_the_same_report(base: Path, tmp_path: Path) -> None:
    other = simulated_run(tmp_path / "b", 2)
    assert report_of(base, other) == report_of(base, other)
    assert report_of(base, other, seed=2) != report_of(base, other)


def test_throughput_is_compared_by_where_the_tokens_arrived(base: Path, tmp_path: Path) -> None:
    """A stream each 50 ms of 5 tokens is 100 tokens/s."""
    found = row(report_of(base, simulated_run(tmp_path / "b", 2)), "output_tokens_per_s", None)
    assert found.a == pytest.approx(100, rel=0.02)
    assert found.finding is Finding.NONE_VISIBLE


def test_a_run_is_not_compared_with_itself(base: Path) -> None:
    for sides in ((base, base), (base, base.parent / ".." / base.parent.name / base.name), (f"{base},{base}", base)):
        with pytest.raises(UsageError, match="is there twice") as refused:
            report_of(*sides)
        assert "a run is always equal to itself" in (refused.value.hint or "")


def test_asking_the_server_for_its_own_figures_leaves_the_load_the_same(base: Path, tmp_path: Path) -> None:
    other = simulated_run(tmp_path / "b", 2, settings={**SETTINGS, "server_metrics": "auto"})
    assert "Differs: server_metrics" in report_of(base, other).against[0].identity


@pytest.mark.parametrize(("late", "note"), [(0, None), (80, "the load still grew for 17% of a run: give --warmup")])
def test_a_rate_is_not_judged_while_the_load_still_grows(late: int, note: str | None, tmp_path: Path) -> None:
    """400 streams in 20 s; those that begin late leave the begin of their run empty."""
    sides = []
    for name in ("a", "b"):
        streams = [stream(number, 200 * MS) for number in range(400)]
        sides.append(write_run(tmp_path / name, streams))
        runs.write_window(sides[-1], Window(BEGIN_NS - late * EVERY_NS, BEGIN_NS + 400 * EVERY_NS))
    rule = parse_change("output_tokens_per_s < -10%")
    report = report_of(*sides, fail_on=(rule,))
    assert row(report, "output_tokens_per_s", None).note == note
    assert (only_rule(report).verdict is RuleVerdict.UNDECIDED) == (note is not None)
    assert note is None or note in only_rule(report).reason
