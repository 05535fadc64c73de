"""What a record says of a tape, to the nanosecond."""

import json

import msgspec
import pytest

from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.record import StreamRecord, record_of
from streamgauge.wire import Capture, End, Read
from tests.builders.tapes import MS, SSE_HEAD, START_NS, Tape, head, play


def record(tape: Tape, then: End | None = End.CLOSED, lag_ns: int = 0) -> StreamRecord:
    return record_of(interpret(play(tape, then, lag_ns=lag_ns)), "s1", url="http://test/")


def openai(delta: dict[str, str], finish: str | None = None, **extra: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": [choice], **extra}).encode() + b"\n\n"


ROLE = openai({"role": "assistant", "content": ""})
DONE = b"data: [DONE]\n\n"
USAGE = b'data: {"object":"chat.completion.chunk","choices":[],"usage":{"completion_tokens":8}}\n\n'

WHOLE = [
    (10 * MS, SSE_HEAD),
    (20 * MS, ROLE),
    (200 * MS, openai({"reasoning": "hm"})),
    (220 * MS, openai({"content": "a"}) + openai({"content": "b"})),
    (260 * MS, openai({"content": "cd"})),
    (270 * MS, openai({}, "stop")),
    (280 * MS, USAGE),
    (290 * MS, DONE),
]


def test_every_moment_of_a_stream_is_taken_from_its_read() -> None:
    made = record(WHOLE)

    assert made.first_byte_ns == 10 * MS
    assert made.headers_ns == 10 * MS
    assert made.first_event_ns == 20 * MS
    assert made.first_chunk_ns == 20 * MS
    assert made.token_ns == [200 * MS, 220 * MS, 220 * MS, 260 * MS]
    assert made.first_answer_ns == 220 * MS
    assert made.end_ns == 290 * MS
    assert made.closed_ns == 290 * MS
    assert made.start_ns == START_NS


def test_two_tokens_of_one_read_share_its_index() -> None:
    assert record(WHOLE).token_reads == [2, 3, 3, 4]


def test_what_the_stream_was_is_counted() -> None:
    made = record(WHOLE)
    assert (made.outcome, made.events, made.token_chars, made.finish_reason) == (Outcome.OK, 8, 6, "stop")
    assert (made.dialect, made.status, made.method) == ("openai-chat", 200, "POST")
    assert made.wire_bytes == sum(len(data) for _, data in WHOLE)
    assert made.reads.bytes == [len(data) for _, data in WHOLE]


def test_the_server_s_usage_counts_the_tokens_when_it_is_sent() -> None:
    made = record(WHOLE)
    assert (made.output_tokens, made.tokens_source) == (8, "usage")

    events_only = record([item for item in WHOLE if item[1] != USAGE])
    assert (events_only.output_tokens, events_only.tokens_source) == (4, "token events")


def test_the_last_usage_stands_and_a_useless_one_is_no_count() -> None:
    def counted(*usages: object) -> tuple[int | None, str | None]:
        chunks = [openai({"content": "a"}, usage=usage) for usage in usages]
        made = record([(0, SSE_HEAD), (MS, b"".join(chunks) + DONE)])
        return made.output_tokens, made.tokens_source

    assert counted({"completion_tokens": 1}, {"completion_tokens": 2}) == (2, "usage")
    assert counted({"output_tokens": 5}) == (5, "usage")
    for useless in ({"completion_tokens": 0}, {"completion_tokens": "7"}, {"prompt_tokens": 3}, {}):
        assert counted(useless) == (1, "token events")


@pytest.mark.parametrize("count", ["9223372036854775808", "-5", "true", '"7"', "1.5", "1e300", "[]", "99999"])
def test_a_count_that_is_not_believed_is_named_and_token_events_are_counted(count: str) -> None:
    usage = USAGE.replace(b":8}", f":{count}".encode() + b"}")
    made = record([item if item[1] != USAGE else (item[0], usage) for item in WHOLE])

    assert (made.outcome, made.output_tokens, made.tokens_source) == (Outcome.OK, 4, "token events")
    assert (made.usage_doubt or "").startswith("completion_tokens is ")


def test_a_prompt_s_count_that_is_not_believed_is_named() -> None:
    usage = USAGE.replace(b":8}", b':8,"prompt_tokens":-1}')
    made = record([item if item[1] != USAGE else (item[0], usage) for item in WHOLE])

    assert (made.output_tokens, made.usage_prompt_tokens) == (8, None)
    assert made.usage_doubt == "prompt_tokens is -1, not a whole number from 0 to 10,000,000"


def test_absent_stays_absent() -> None:
    made = record([])
    for name in ("first_byte_ns", "headers_ns", "first_event_ns", "first_chunk_ns", "first_answer_ns", "end_ns",
                 "output_tokens", "tokens_source", "finish_reason", "dialect", "status", "connect_ns", "tls_ns",
                 "intended_ns", "stamp_source"):  # fmt: skip
        assert getattr(made, name) is None, name
    assert (made.token_ns, made.reads.at_ns) == ([], [])


def test_a_role_chunk_alone_has_a_first_chunk_and_no_token() -> None:
    made = record([(5 * MS, SSE_HEAD), (9 * MS, ROLE)])
    assert (made.first_event_ns, made.first_chunk_ns) == (9 * MS, 9 * MS)
    assert (made.token_ns, made.output_tokens, made.first_answer_ns) == ([], None, None)


def test_bytes_after_the_end_marker_do_not_move_the_end() -> None:
    made = record([*WHOLE, (900 * MS, b": bye\n\n")])
    assert (made.end_ns, made.closed_ns) == (290 * MS, 900 * MS)


def test_an_error_event_is_the_end_and_without_either_the_last_byte_is() -> None:
    error = b'data: {"error":{"message":"x"}}\n\n'
    assert record([(MS, SSE_HEAD), (2 * MS, ROLE), (3 * MS, error), (4 * MS, b":\n\n")]).end_ns == 3 * MS
    assert record([(MS, SSE_HEAD), (2 * MS, ROLE), (4 * MS, b":\n\n")]).end_ns == 4 * MS


def test_lag_is_kept_for_each_read_and_unstamped_reads_are_counted() -> None:
    assert record(WHOLE, lag_ns=7).reads.lag_ns == [7] * len(WHOLE)

    capture = play(WHOLE)
    capture.reads[0] = Read(START_NS, START_NS, 1, stamped=False)
    made = record_of(interpret(capture), "s", url="u")
    assert (made.stamp_source, made.unstamped_reads) == ("mixed", 1)
    assert record(WHOLE).stamp_source == "kernel"


def test_a_head_over_several_reads_is_complete_with_its_last() -> None:
    wire = head("Content-Type: text/event-stream")
    made = record([(MS, wire[:10]), (3 * MS, wire[10:]), (5 * MS, b"data: x\n\n")])
    assert (made.first_byte_ns, made.headers_ns, made.token_ns) == (MS, 3 * MS, [5 * MS])


def test_what_the_caller_knows_is_carried() -> None:
    capture = Capture(START_NS, connect_ns=3, tls_ns=4, sent_ns=START_NS + 9, reused=True, end=End.CLOSED)
    made = record_of(interpret(capture), "s", url="u", scenario="chat", intended_ns=START_NS - 5, worker=2)
    assert (made.connect_ns, made.tls_ns, made.sent_ns, made.reused) == (3, 4, 9, True)
    assert (made.id, made.url, made.scenario, made.intended_ns, made.worker) == ("s", "u", "chat", START_NS - 5, 2)


def test_a_record_survives_its_own_json() -> None:
    made = record(WHOLE, lag_ns=3)
    assert msgspec.json.decode(msgspec.json.encode(made), type=StreamRecord) == made


def test_what_is_absent_is_not_written() -> None:
    written = msgspec.json.decode(msgspec.json.encode(record([])))
    assert "output_tokens" not in written
    assert None not in written.values()


def test_two_deltas_of_one_event_are_one_token_event_with_all_their_text() -> None:
    choices = [{"delta": {"reasoning": "hm", "content": "a"}}, {"delta": {"content": "bc"}}]
    event = b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": choices}).encode() + b"\n\n"
    made = record([(MS, SSE_HEAD), (5 * MS, event), (9 * MS, DONE)])
    assert (made.token_reads, made.output_tokens, made.token_chars) == ([1], 1, 5)
