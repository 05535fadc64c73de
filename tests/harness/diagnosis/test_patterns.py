"""Who holds tokens back: each pattern on a synthetic delivery."""

import pytest

from streamgauge.diagnosis.patterns import (
    Delivery,
    Pattern,
    Shape,
    bursts,
    content_coding,
    delivery_of,
    shape_of,
    token_groups,
)
from streamgauge.units import MS
from streamgauge.wire import Head
from tests.builders.tapes import SSE_HEAD, chunk, head, read

FAST, SLOW = 10 * MS, 25 * MS
TOKENS, SIZE = 150, 40


def deliver(itl_ns: int, arrives: list[int], emitted: bool = True) -> Delivery:
    """Tokens of SIZE bytes written every `itl_ns` and arrived at these times; one read for each time."""
    times = sorted(set(arrives))
    return Delivery(
        arrives,
        [times.index(at) for at in arrives],
        times,
        [SIZE * arrives.count(at) for at in times],
        [n * itl_ns for n in range(len(arrives))] if emitted else None,
        itl_ns if emitted else None,
        None,
    )


def written(itl_ns: int) -> list[int]:
    return [n * itl_ns for n in range(TOKENS)]


def through(itl_ns: int, latency_ns: int = MS) -> Delivery:
    return deliver(itl_ns, [at + latency_ns for at in written(itl_ns)])


def block(itl_ns: int, tokens: int) -> Delivery:
    """Held until `tokens` have been written; the rest comes at the end."""
    times = written(itl_ns)
    return deliver(itl_ns, [times[min((n // tokens + 1) * tokens, TOKENS) - 1] + MS for n in range(TOKENS)])


def window(itl_ns: int, window_ns: int) -> Delivery:
    """Let out every `window_ns`."""
    return deliver(itl_ns, [(at // window_ns + 1) * window_ns for at in written(itl_ns)])


def test_tokens_that_come_one_by_one_pass() -> None:
    assert shape_of(through(FAST)).pattern is Pattern.PASS_THROUGH
    assert shape_of(through(FAST), through(SLOW)).pattern is Pattern.PASS_THROUGH
    assert shape_of(deliver(FAST, written(FAST), emitted=False)).pattern is Pattern.PASS_THROUGH


def test_a_few_tokens_in_one_read_are_no_buffer() -> None:
    times = [at + MS for at in written(FAST)]
    for n in range(0, TOKENS, 10):
        times[n] = times[min(n + 1, TOKENS - 1)]
    assert shape_of(deliver(FAST, times)).pattern is Pattern.PASS_THROUGH


def test_a_block_of_bytes_is_the_same_size_at_both_paces() -> None:
    shape = shape_of(block(FAST, 12), block(SLOW, 12))
    assert (shape.pattern, shape.size_bytes, shape.window_ns) == (Pattern.BLOCK_BUFFERED, 12 * SIZE, None)
    assert shape.groups == 13
    assert "a full buffer releases the tokens" in shape.evidence[-1]


def test_a_window_of_time_is_the_same_spacing_at_both_paces() -> None:
    shape = shape_of(window(FAST, 200 * MS), window(SLOW, 200 * MS))
    assert (shape.pattern, shape.size_bytes, shape.window_ns) == (Pattern.TIME_COALESCED, None, 200 * MS)
    assert "a timer releases the tokens" in shape.evidence[-1]


def test_at_one_pace_a_size_and_a_time_cannot_be_told_apart_and_that_is_said() -> None:
    for held in (block(FAST, 12), window(FAST, 200 * MS)):
        shape = shape_of(held)
        assert shape.evidence[-1] == "measured at one pace only"
        assert (shape.size_bytes, shape.window_ns) != (None, None)


def test_everything_at_the_end_is_fully_buffered() -> None:
    shape = shape_of(deliver(FAST, [1500 * MS] * TOKENS))
    assert shape == Shape(
        Pattern.FULLY_BUFFERED, TOKENS * SIZE, None, 1,
        [f"{TOKENS} tokens arrived in 1 burst; they were written over 1490 ms"],
    )  # fmt: skip


def one_behind(itl_ns: int) -> Delivery:
    times = written(itl_ns)
    return deliver(itl_ns, [*(at + MS for at in times[1:]), times[-1] + MS + itl_ns])


def test_each_token_waiting_for_the_next_is_one_behind_at_both_paces() -> None:
    assert shape_of(one_behind(FAST), one_behind(SLOW)).pattern is Pattern.ONE_BEHIND


def test_a_constant_latency_of_one_gap_is_no_buffer() -> None:
    assert shape_of(through(FAST, FAST), through(SLOW, FAST)).pattern is Pattern.PASS_THROUGH


def test_one_pace_does_not_prove_one_behind() -> None:
    assert shape_of(one_behind(FAST)).pattern is Pattern.PASS_THROUGH


def held_first(tokens: int) -> Delivery:
    return deliver(FAST, [max(at, (tokens - 1) * FAST) + MS for at in written(FAST)])


@pytest.mark.parametrize("tokens", [20, 60])
def test_a_first_burst_before_a_steady_rest_is_a_first_byte_held(tokens: int) -> None:
    shape = shape_of(held_first(tokens))
    assert (shape.pattern, shape.size_bytes) == (Pattern.FIRST_BYTE_HELD, tokens * SIZE)


def test_a_first_burst_of_two_tokens_is_a_hiccup() -> None:
    assert shape_of(held_first(2)).pattern is Pattern.PASS_THROUGH


@pytest.mark.parametrize("tokens", [0, 1])
def test_fewer_than_two_tokens_tell_nothing(tokens: int) -> None:
    assert shape_of(deliver(FAST, [5 * MS] * tokens)).pattern is Pattern.UNKNOWN


def test_reads_less_than_three_ms_apart_are_one_burst() -> None:
    delivery = deliver(FAST, [0, 2 * MS, 4 * MS, 7 * MS, 7 * MS + 1, 20 * MS])
    assert bursts(delivery) == [(0, 3 * SIZE), (7 * MS, 2 * SIZE), (20 * MS, SIZE)]
    assert token_groups(delivery) == [3, 2, 1]


def test_a_delivery_counts_body_bytes_of_the_reads_that_brought_any() -> None:
    wire_head = head("Content-Type: text/event-stream", "Transfer-Encoding: chunked", "Content-Encoding: identity")
    tape = [
        (5 * MS, wire_head),
        (10 * MS, chunk(b"data: a\n\n") + chunk(b"data: b\n\n")),
        (20 * MS, chunk(b"data: c")),
        (30 * MS, chunk(b"\n\n") + b"0\r\n\r\n"),
    ]
    delivery = delivery_of(read(tape), None, None)

    assert delivery.arrived_ns == [10 * MS, 10 * MS, 30 * MS]
    assert delivery.read_ns == [10 * MS, 20 * MS, 30 * MS]
    assert delivery.read_bytes == [18, 7, 2]
    assert [delivery.read_ns[index] for index in delivery.read] == delivery.arrived_ns
    assert delivery.encoding is None  # identity says that nothing compressed it


def test_what_a_first_burst_held_does_not_count_the_read_after_it() -> None:
    tokens = b"".join(b"data: %03d\n\n" % n for n in range(60))
    tape = [(5 * MS, SSE_HEAD), (600 * MS, tokens), *((600 * MS + n * FAST, b"data: x\n\n") for n in range(1, 60))]
    shape = shape_of(delivery_of(read(tape), None, None))
    assert (shape.pattern, shape.size_bytes) == (Pattern.FIRST_BYTE_HELD, len(tokens))


def test_a_character_left_over_at_the_end_has_a_place_too() -> None:
    wire_head = head("Content-Type: text/plain", "Transfer-Encoding: chunked")
    tape = [(0, wire_head), (MS, chunk(b"ab\xe2\x82")), (2 * MS, b"0\r\n\r\n")]
    delivery = delivery_of(read(tape), None, None)
    assert delivery.read == [0, 0]


def test_emissions_are_told_from_the_same_zero() -> None:
    transcript = read([(5 * MS, SSE_HEAD), (10 * MS, b"data: a\n\n")])
    sent = transcript.capture.sent_ns or 0
    assert delivery_of(transcript, [sent + 4 * MS], FAST).emitted_ns == [4 * MS]


@pytest.mark.parametrize(
    ("value", "coding"),
    [(None, None), ("", None), ("identity", None), ("Identity", None), ("gzip", "gzip"), ("identity, BR", "br"),
     ("gzip, br", "gzip, br")],
)  # fmt: skip
def test_identity_is_not_a_compression(value: str | None, coding: str | None) -> None:
    fields = () if value is None else (("Content-Encoding", value),)
    assert content_coding(Head(200, "OK", "1.1", fields)) == coding


def test_an_answer_that_is_complete_at_once_is_not_called_held_without_the_upstream_s_times() -> None:
    at_once = [20 * MS] * TOKENS
    assert shape_of(deliver(FAST, at_once, emitted=False)).pattern is Pattern.UNKNOWN
    assert shape_of(deliver(FAST, at_once)).pattern is Pattern.FULLY_BUFFERED
    late = [1500 * MS] * TOKENS
    assert shape_of(deliver(FAST, late, emitted=False)).pattern is Pattern.FULLY_BUFFERED
