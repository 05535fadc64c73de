"""What a diagnosis keeps of an answer's head, and how lockstep and arrival times make one verdict."""

import pytest

from streamgauge.diagnosis.buffering import agreed, kept_headers
from streamgauge.diagnosis.lockstep import Lockstep, LockstepStep
from streamgauge.diagnosis.patterns import Delivery, Pattern, shape_of
from streamgauge.diagnosis.product import marked_headers
from streamgauge.units import MS
from streamgauge.wire import Head
from tests.builders.tapes import stream

PASSED = Lockstep(stream(b""), tuple(LockstepStep(n, n, False, 40 * n) for n in range(1, 9)))
BUNCHED = [n // 20 * 200 * MS for n in range(150)]  # 20 tokens every 200 ms


def delivered(emitted_ns: list[int]) -> Delivery:
    """150 tokens that arrive in bunches, and when the mock wrote them."""
    reads = sorted(set(BUNCHED))
    return Delivery(
        BUNCHED, [reads.index(at) for at in BUNCHED], reads, [40 * BUNCHED.count(at) for at in reads],
        emitted_ns, 10 * MS, None,
    )  # fmt: skip


@pytest.mark.parametrize("name", marked_headers())
def test_a_header_that_can_give_a_product_away_is_kept(name: str) -> None:
    """A mark that names the culprit has to be there as evidence."""
    assert kept_headers(Head(200, "OK", "1.1", ((name.title(), "x"),))) == {name: "x"}


def test_of_other_headers_those_are_kept_that_govern_buffering() -> None:
    head = Head(200, "OK", "1.1", (("X-Accel-Buffering", "no"), ("Set-Cookie", "a"), ("Content-Type", "y" * 500)))

    assert kept_headers(head) == {"content-type": "y" * 200, "x-accel-buffering": "no"}
    assert kept_headers(None) == {}


def test_bursts_that_a_busy_mock_wrote_are_not_blamed_on_a_path_that_passes_lockstep() -> None:
    fast = delivered(emitted_ns=[at - MS for at in BUNCHED])

    shape = agreed(shape_of(fast), PASSED, fast)

    assert (shape.pattern, shape.size_bytes, shape.window_ns) == (Pattern.PASS_THROUGH, None, None)
    assert shape.evidence == [
        "lockstep: each of 8 tokens arrived before the next was released",
        "150 tokens arrived in 8 bursts; a burst holds 800 bytes",
        "the mock itself wrote in these bursts: the machine was busy, and the path held nothing back",
    ]


def test_a_window_shorter_than_a_step_of_lockstep_is_still_found() -> None:
    """HAProxy's 200 ms: each token of lockstep arrives within its step, but evenly written tokens come in bursts."""
    fast = delivered(emitted_ns=[n * 10 * MS for n in range(150)])

    assert agreed(shape_of(fast), PASSED, fast).pattern is Pattern.BLOCK_BUFFERED
