"""What a diagnosis keeps of an answer's head, and how lockstep and arrival times make one verdict."""

from contextlib import ExitStack
from dataclasses import replace

import msgspec
import pytest

from streamgauge.diagnosis.buffering import agreed, kept_headers
from streamgauge.diagnosis.diagnose import diagnose
from streamgauge.diagnosis.lockstep import Lockstep, LockstepStep
from streamgauge.diagnosis.patterns import Delivery, DiagnosisFile, Pattern, Shape, shape_of
from streamgauge.diagnosis.product import marked_headers
from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import BufferingProxy, MockServer
from streamgauge.mock_provider.proxy import ProxyConfig
from streamgauge.units import MS
from streamgauge.wire import Head
from tests.builders.tapes import stream
from tests.cases.programs import OneBehind

PASSED = Lockstep(stream(b"data: a\n\n"), tuple(LockstepStep(n, n, False, 40 * n) for n in range(1, 9)))
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


def test_a_window_shorter_than_a_step_of_lockstep_is_still_found_and_is_not_a_buffer_of_bytes() -> None:
    """HAProxy's 200 ms: each token of lockstep arrives within its step, but evenly written tokens come in bursts."""
    fast = delivered(emitted_ns=[n * 10 * MS for n in range(150)])

    shape = agreed(shape_of(fast), PASSED, fast)

    assert (shape.pattern, shape.size_bytes, shape.window_ns) == (Pattern.TIME_COALESCED, None, 200 * MS)
    assert "lockstep rules out a buffer that waits for bytes" in shape.evidence[-1]


@pytest.mark.parametrize("pattern", [Pattern.ONE_BEHIND, Pattern.FIRST_BYTE_HELD, Pattern.UNKNOWN])
def test_a_class_that_lockstep_disproves_is_dropped(pattern: Pattern) -> None:
    fast = delivered(emitted_ns=[n * 10 * MS for n in range(150)])

    shape = agreed(Shape(pattern, 213, None, 8, ["by arrival times"]), PASSED, fast)

    assert (shape.pattern, shape.size_bytes) == (Pattern.PASS_THROUGH, None)


def late(*seen: int) -> Lockstep:
    """A lockstep stream whose steps all timed out, with so many tokens arrived in each."""
    return Lockstep(stream(b""), tuple(LockstepStep(n, count, True, 0) for n, count in enumerate(seen, 1)))


def test_one_late_step_does_not_show_that_a_path_is_one_behind() -> None:
    """A stream that did not come, or that a path holds whole, also lacks its newest token."""
    assert not late(0).one_behind
    assert not late(0, 0).one_behind
    assert late(0, 1).one_behind


def test_a_stream_that_did_not_come_from_the_mock_is_no_evidence() -> None:
    assert PASSED.is_evidence
    assert not PASSED._replace(from_mock=False).is_evidence
    assert not PASSED._replace(transcript=stream(b"{}", media="application/json")).is_evidence


def diagnosed(config: MockConfig, target: Target, proxy: ProxyConfig | None = None) -> DiagnosisFile:
    """The diagnosis of a mock, or of a proxy in front of it."""
    with MockServer(config) as mock, ExitStack() as stack:
        base = mock.url
        if proxy is not None:
            base = stack.enter_context(BufferingProxy(replace(proxy, upstream=mock.url))).url
        return diagnose(msgspec.structs.replace(target, url=base + "/v1/chat/completions", mock=mock.url))


NO_FLUSH = MockConfig(faults=("gzip-no-flush",))


def test_a_held_compression_that_the_request_asked_for_is_not_called_unasked() -> None:
    found = diagnosed(NO_FLUSH, Target(url="http://x", compressed=True))

    assert found.pattern is Pattern.COMPRESSION_HELD
    assert any("the request accepts it; without compression tokens pass" in line for line in found.evidence)


def test_each_coding_is_offered_alone() -> None:
    found = diagnosed(NO_FLUSH, Target(url="http://x"))

    assert found.pattern is Pattern.COMPRESSION_HELD
    assert any("tokens pass uncompressed, but under Content-Encoding: gzip" in line for line in found.evidence)


def test_a_timer_in_a_proxy_is_not_called_a_buffer_of_bytes() -> None:
    found = diagnosed(MockConfig(), Target(url="http://x"), ProxyConfig(upstream="http://x", hold_ms=200))

    assert found.pattern is Pattern.TIME_COALESCED
    assert found.size_bytes is None


def test_a_relay_that_is_one_behind_is_called_that_and_not_blamed_on_nginx() -> None:
    with MockServer(MockConfig()) as mock, OneBehind(mock.url) as url:
        found = diagnose(Target(url=url, mock=mock.url))

    assert found.pattern is Pattern.ONE_BEHIND
    assert found.fixes
    assert not any("proxy_buffering" in line for fix in found.fixes for line in fix.lines)


@pytest.mark.parametrize("fault", ["stall@3", "error-event:3"])
@pytest.mark.parametrize("known", [True, False], ids=["with the ledger", "without it"])
def test_a_source_that_stops_is_not_called_a_buffer(fault: str, known: bool) -> None:
    with MockServer(MockConfig(faults=(fault,), itl="1ms")) as mock:
        target = Target(url=f"{mock.url}/v1/chat/completions", timeout="1s", mock=mock.url if known else None)
        with pytest.raises(CannotMeasure, match="the stream stopped after 3 tokens"):
            diagnose(target)
