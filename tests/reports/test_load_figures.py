"""The figures of a load show its objectives with their evidence, and the part of the run that is steady."""

import random
from collections.abc import Callable
from html import unescape
from pathlib import Path

import msgspec
import pytest

from streamgauge.metrics.calibration import Calibration
from streamgauge.metrics.distributions import distribution
from streamgauge.metrics.slo import parse_slo
from streamgauge.metrics.summary import Totals, Window
from streamgauge.metrics.validity import Validity
from streamgauge.reports.figures import draw_all
from streamgauge.reports.figures.canvas import Drawing
from streamgauge.reports.load import load
from streamgauge.rundir import runs
from streamgauge.units import MS, SECOND
from tests.reports.report_builders import EPOCH, manifest, stream, write_streams

USERS = 5
STREAMS = 300
SHUFFLED = random.Random(3).sample([number % 100 for number in range(STREAMS)], STREAMS)


def figures(
    directory: Path,
    *slos: str,
    ttft_ms: Callable[[int], float] = lambda number: 200 + SHUFFLED[number],
    begin_s: float = 0,
    calibration: Calibration | None = None,
) -> dict[str, Drawing]:
    """The figures of a run in which a stream begins every 50 ms."""
    window = Window(EPOCH + round(begin_s * SECOND), EPOCH + STREAMS * 50 * MS)
    totals = Totals([parse_slo(slo) for slo in slos], window)
    records = [
        msgspec.structs.replace(stream(number, ttft_ms=ttft_ms(number)), warmup=number * 50 < 1_000 * begin_s)
        for number in range(STREAMS)
    ]
    for record in records:
        totals.add(record)
    write_streams(directory, records)
    runs.write_window(directory, window)
    settings = {"users": USERS, "slos": list(slos)}
    runs.write(directory / runs.RUN, manifest(totals.summary(), settings=settings, calibration=calibration))
    return {drawing.name: drawing for drawing in draw_all(load(directory))["load"]}


@pytest.mark.parametrize(
    ("slo", "words", "colour"),
    [
        ("ttft p95 < 400ms", "p95 < 400 ms: met", "var(--green)"),
        ("ttft p50 < 220ms", "p50 < 220 ms: missed", "var(--red)"),
        ("ttft p95 < 296ms", "p95 < 296 ms: undecided", "var(--orange)"),
        ("ttft < 250ms", "all < 250 ms: missed", "var(--red)"),
    ],
)
def test_an_objective_is_a_line_on_the_curve_in_the_colour_of_its_verdict(
    tmp_path: Path, slo: str, words: str, colour: str
) -> None:
    found = figures(tmp_path, slo)["ttft-cdf"]
    svg = unescape(found.svg)
    assert words in svg
    assert colour in svg
    verdict = words.rpartition(": ")[2]
    assert f"{slo}: {verdict}, " in found.caption
    assert "of streams hold it" in found.caption


def test_the_share_on_the_good_side_is_that_of_the_streams(tmp_path: Path) -> None:
    assert (
        "ttft p50 < 250ms: undecided, 50.0 % of streams hold it."
        in figures(tmp_path, "ttft p50 < 250ms")["ttft-cdf"].caption
    )


def test_percentiles_have_their_intervals_in_words_too(tmp_path: Path) -> None:
    assert "p50 249 ms (244–255), p95 294 ms (292–297)" in figures(tmp_path)["ttft-cdf"].alt


def test_a_limit_far_away_is_named_but_does_not_press_the_curve_together(tmp_path: Path) -> None:
    found = figures(tmp_path, "ttft p95 < 30s")["ttft-cdf"]
    assert "p95 < 30.00 s" not in unescape(found.svg)
    assert "ttft p95 < 30000ms: met, 100 % of streams hold it." in found.caption


def test_the_error_of_the_client_is_a_band_around_the_curve(tmp_path: Path) -> None:
    floor = Calibration(
        streamgauge="1", started="2025-11-21T09:00:00Z", machine="a", users=9, processes=1, ttft="200ms", itl="20ms",
        tokens=10, streams=100, tokens_per_s=9.0, ttft_error_ms=distribution([3 * MS] * 100), itl_p50_error_ms=None,
        itl_p99_error_ms=None, client_lag_ms=None, loop_late_ms=None, busiest_core=None,
        validity=Validity("VALID", "", []),
    )  # fmt: skip
    assert "this client's own error" not in figures(tmp_path / "none")["ttft-cdf"].caption
    found = figures(tmp_path / "floor", calibration=floor)["ttft-cdf"]
    assert "Grey: this client's own error, ± 3.00 ms." in found.caption
    assert "var(--grey)" in found.svg


def test_the_steady_part_is_shaded_behind_the_warm_up(tmp_path: Path) -> None:
    found = figures(tmp_path, begin_s=3)
    for name in ("ttft-over-time", "throughput"):
        assert ">steady<" in found[name].svg, name
        assert ">warm-up<" in found[name].svg, name
        assert "var(--green)" in found[name].svg
    assert "The green part is steady." in found["ttft-over-time"].caption


def test_a_level_shift_is_marked_and_nothing_is_called_steady(tmp_path: Path) -> None:
    found = figures(tmp_path, ttft_ms=lambda number: (200 if number < 180 else 400) + number % 30)
    assert ">level shift<" in found["ttft-over-time"].svg
    assert ">steady<" not in found["ttft-over-time"].svg
    assert "The TTFT went from 21" in found["ttft-over-time"].caption


def test_a_ttft_that_grows_is_said_and_nothing_is_shaded(tmp_path: Path) -> None:
    found = figures(tmp_path, ttft_ms=lambda number: 200 + 2 * number)
    assert ">steady<" not in found["throughput"].svg
    assert "The TTFT rose all the time" in found["ttft-over-time"].caption


def test_streams_in_flight_have_their_mean_and_maximum(tmp_path: Path) -> None:
    found = figures(tmp_path)["throughput"]
    assert found.caption.endswith(" at most.")
    assert "In flight: 8." in found.caption
    assert ">mean 8." in found.svg
