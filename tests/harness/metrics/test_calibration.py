"""The client's error floor: its lines, and the runs that it covers."""

from pathlib import Path

import msgspec
import pytest

from streamgauge.errors import UsageError
from streamgauge.metrics.calibration import Calibration, beyond, calibration_lines, floor_of
from streamgauge.metrics.comparison import Ledgered, compare_with_ledger
from streamgauge.metrics.summary import Summary, Totals
from streamgauge.rundir import runs
from streamgauge.units import MS
from tests.builders.client_lag import stream

ARRIVAL = 10**18


def summary(tokens_per_s: float = 1000.0) -> Summary:
    totals = Totals()
    totals.add(stream((200, 0.1, 1), (220, 0.1, 1)))
    return msgspec.structs.replace(totals.summary(), output_tokens_per_s=tokens_per_s)


def floor() -> Calibration:
    record = stream((200.5, 0.1, 1), (221, 0.1, 1))
    truth = compare_with_ledger(
        [record], {"s": Ledgered(ARRIVAL, [ARRIVAL + 200 * MS, ARRIVAL + 220 * MS])}, direct=True
    )
    return floor_of(
        summary(), truth, streamgauge="0", started="now", machine="m", users=50, processes=1, ttft="200ms", itl="20ms",
        tokens=2,
    )  # fmt: skip


def test_the_floor_is_the_reported_value_minus_the_true_value() -> None:
    made = floor()
    assert made.ttft_error_ms is not None
    assert (made.ttft_error_ms.p50, made.ttft_error_ms.p99) == (0.5, 0.5)
    assert made.itl_p50_error_ms == pytest.approx(0.5, abs=0.2)  # the pools are histograms
    words = dict(calibration_lines(made))
    assert words["at"] == "50 users, 1,000 tokens/s, gaps of 20ms"
    assert words["TTFT reported - true"] == "p50 +0.50 ms, p99 +0.50 ms"
    assert "event loop lateness" not in words  # no process said anything


@pytest.mark.parametrize(
    ("users", "tokens_per_s", "why"),
    [
        (50, 1000, None),
        (None, 1100, None),
        (51, 1000, "it was measured at 50 users, this run had 51 streams open at once"),
        (50, 1101, "it was measured at 1,000 tokens/s, this run had 1,101"),
    ],
)
def test_a_floor_covers_no_more_load_than_it_was_measured_at(
    users: int | None, tokens_per_s: float, why: str | None
) -> None:
    assert beyond(floor(), summary(tokens_per_s), users) == why


def test_it_is_found_in_the_run_directory_or_where_the_caller_says(tmp_path: Path) -> None:
    assert runs.calibration(None, tmp_path) is None
    runs.write(tmp_path / runs.CALIBRATION, floor())
    for path, directory in ((None, tmp_path), (tmp_path, tmp_path / "x"), (tmp_path / runs.CALIBRATION, tmp_path)):
        assert runs.calibration(path, directory) == floor()
    with runs.claimed(tmp_path):
        assert runs.calibration(None, tmp_path) == floor(), "a new load leaves it in place"


def test_a_path_without_one_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no calibration\.json"):
        runs.calibration(tmp_path, tmp_path)
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(UsageError, match="cannot be read"):
        runs.calibration(tmp_path / "other.json", tmp_path)


@pytest.mark.parametrize("direct", [True, False])
def test_what_a_path_adds_is_not_called_the_clients_error(direct: bool) -> None:
    record = stream((250, 0.1, 1), (270, 0.1, 1))
    known = {"s": Ledgered(ARRIVAL, [ARRIVAL + 200 * MS, ARRIVAL + 220 * MS])}
    found = compare_with_ledger([record], known, direct=direct)
    difference, other = found.ttft_error_ms, found.ttft_added_ms
    if not direct:
        difference, other = other, difference
    assert other is None
    assert difference is not None
    assert difference.p50 == 50
    assert (found.too_early, found.caveat) == (0, None)


def test_a_token_older_than_the_mocks_write_of_it_is_not_the_mocks() -> None:
    known = {"s": Ledgered(ARRIVAL, [ARRIVAL + 200 * MS])}
    early = compare_with_ledger([stream((7, 0.1, 1))], known, direct=False)
    assert early.too_early == 1
    assert "1 of 1 stream had a first token sooner than the mock wrote one" in (early.caveat or "")
    assert compare_with_ledger([stream((199.5, 0.1, 1))], known, direct=False).too_early == 0, "clocks drift"
