"""A store of baselines: one is pinned, the first one stays, and a slow drift is an alarm."""

import shutil
from pathlib import Path

import pytest

from streamgauge.comparing.baseline import Baseline, BaselineFile, PastFigure, PastRun, trend
from streamgauge.comparing.change import parse_change
from streamgauge.comparing.compare import FIRST, CompareReport, compare_with_baseline
from streamgauge.comparing.verdict import RuleVerdict
from streamgauge.errors import UsageError
from tests.builders.command import streamgauge
from tests.builders.compared import simulated_run

RULE = (parse_change("ttft p50 > +12%"),)


def compared(store: Path, run: Path) -> CompareReport:
    return compare_with_baseline(store, str(run), fail_on=RULE, resamples=60)


def pinned(store: Path, run: Path) -> None:
    baseline = Baseline(store)
    baseline.pin(str(run), baseline.remember(str(run), None))


def test_a_slow_drift_is_a_regression_against_the_first_baseline_only(tmp_path: Path) -> None:
    """Each release is 8 % slower than the last, which is below the limit of 12 %; two of them are not."""
    store = tmp_path / "store"
    made = [simulated_run(tmp_path / str(step), step, count=1_500, factor=1.08**step) for step in range(3)]
    pinned(store, made[0])
    assert compared(store, made[1]).verdict is RuleVerdict.NONE
    pinned(store, made[1])

    report = compared(store, made[2])

    assert [(versus.base, versus.verdict) for versus in report.against] == [
        ("A", RuleVerdict.NONE), (FIRST, RuleVerdict.REGRESSION),
    ]  # fmt: skip
    assert report.verdict is RuleVerdict.REGRESSION
    assert report.side(FIRST).runs == [str(store / "runs" / "1")]
    assert report.history[0].startswith("ttft p50: ")


def test_a_baseline_is_a_copy_that_outlives_its_run(tmp_path: Path) -> None:
    store, run = tmp_path / "store", simulated_run(tmp_path / "run", 1, count=200)
    pinned(store, run)
    shutil.rmtree(run)
    assert compared(store, simulated_run(tmp_path / "next", 2, count=200)).sides[0].streams == 200


def test_only_the_first_and_the_pinned_run_are_kept(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for step in range(4):
        pinned(store, simulated_run(tmp_path / str(step), step, count=60))
    assert sorted(path.name for path in (store / "runs").iterdir()) == ["1", "4"]
    file = Baseline(store).file
    assert file is not None
    assert (file.first, file.pinned, [past.number for past in file.history]) == (1, 4, [1, 2, 3, 4])


def test_a_copy_of_an_attempt_that_was_killed_is_replaced(tmp_path: Path) -> None:
    store = tmp_path / "store"
    (store / "runs" / "1").mkdir(parents=True)
    (store / "runs" / "1" / "half").write_text("x")
    pinned(store, simulated_run(tmp_path / "run", 1, count=60))
    assert not (store / "runs" / "1" / "half").exists()
    assert (store / "runs" / "1" / "streams.jsonl").exists()


def test_the_trend_has_the_last_values_of_a_figure() -> None:
    history = [
        PastRun(number=at, label="r", started="", streamgauge="", streams=1,
                figures=[PastFigure("ttft", "p95", 400.0 + at)])
        for at in range(12)
    ]  # fmt: skip
    file = BaselineFile(pinned=1, first=1, history=history)
    assert trend(file, [("ttft", "p95"), ("itl", "p95")], most=3) == ["ttft p95: 409, 410, 411"]


def test_without_a_baseline_the_message_says_how_to_pin_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no baseline yet") as caught:
        compared(tmp_path, tmp_path)
    assert "--pin" in (caught.value.hint or "")


def test_a_damaged_baseline_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "baseline.json").write_text("{")
    with pytest.raises(UsageError, match=r"baseline\.json cannot be read"):
        Baseline(tmp_path)


def test_the_command_pins_the_first_run_and_compares_the_next(tmp_path: Path) -> None:
    store, rule = tmp_path / "store", ("--fail-on", "ttft p50 > +12%")
    first, next_ = (simulated_run(tmp_path / name, seed) for name, seed in (("a", 1), ("b", 2)))
    assert streamgauge("compare", "--baseline", store, first, *rule).returncode == 2
    assert "the first baseline" in streamgauge("compare", "--baseline", store, first, "--pin").stdout
    done = streamgauge("compare", "--baseline", store, next_, *rule, "--pin")
    assert done.returncode == 0, done.stdout
    assert "pinned" in done.stdout
    assert "No regression in B" in done.stdout
    for words in (["--pin", first, next_], ["--baseline", store, first, next_]):
        assert streamgauge("compare", *words).returncode == 2
