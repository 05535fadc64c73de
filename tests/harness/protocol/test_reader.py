"""The outcome and the tokens of a stream, from the bytes on its wire."""

import gzip
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Media
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.reader import StreamReader, interpret
from streamgauge.protocol.reader_fast import by_read
from streamgauge.protocol.transcript import Transcript
from streamgauge.secrets import forget, learn
from streamgauge.wire import Capture, End
from tests.builders.tapes import MS, SSE_HEAD, START_NS, chunk, chunkings, cut, head, play, read, stream

TOKEN = b'data: {"token":"a","done":false}\n\n'
LAST = b'data: {"token":"","done":true}\n\n'
ERROR = b'event: error\ndata: {"message":"boom"}\n\n'
CHUNKED = head("Content-Type: text/event-stream", "Transfer-Encoding: chunked")
GZIPPED = gzip.compress(TOKEN, mtime=0)


def test_a_stream_with_its_end_marker_is_ok() -> None:
    transcript = stream(TOKEN, LAST)
    assert (transcript.outcome, transcript.detail) == (Outcome.OK, None)
    assert transcript.is_stream


@pytest.mark.parametrize("body", [LAST, b"data: [DONE]\n\n"])
def test_an_end_marker_without_a_token_is_not_a_success(body: bytes) -> None:
    assert stream(body).outcome is Outcome.EMPTY


def test_a_finish_reason_explains_an_answer_without_a_token() -> None:
    refused = b'data: {"object":"chat.completion.chunk","choices":[{"delta":{},"finish_reason":"content_filter"}]}\n\n'
    assert stream(refused, b"data: [DONE]\n\n").outcome is Outcome.OK


def test_a_dialect_without_an_end_marker_is_ok_at_the_end_of_the_body() -> None:
    assert stream(b"data: hello\n\n").outcome is Outcome.OK


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "429 Too Many", "500 Oops", "204 No Content",
                                    "205 Reset Content", "302 Found"])  # fmt: skip
def test_another_status_than_success_is_an_http_error_even_with_a_stream_in_it(status: str) -> None:
    transcript = read([(0, head("Content-Type: text/event-stream", status=status) + TOKEN + LAST)])
    assert (transcript.outcome, transcript.detail) == (Outcome.HTTP_ERROR, f"HTTP {status}")
    assert not transcript.is_stream


@pytest.mark.parametrize("status", ["201 Created", "202 Accepted", "203 X", "206 Partial Content"])
def test_a_stream_with_another_success_is_a_stream_and_anything_else_is_not(status: str) -> None:
    code = status.split()[0]
    transcript = read([(0, head("Content-Type: text/event-stream", status=status) + TOKEN + LAST)])
    assert (transcript.outcome, transcript.is_stream) == (Outcome.OK, True)
    assert transcript.detail == f"the status is {code}, and 200 is that of a stream"
    failed = read([(0, head("Content-Type: text/event-stream", status=status) + TOKEN + ERROR)])
    assert (failed.outcome, failed.detail) == (Outcome.ERROR_EVENT, "boom")
    for body in (b'{"job":1}', b""):
        job = read([(0, head("Content-Type: application/json", status=status) + body)])
        assert (job.outcome, job.detail, job.is_stream) == (Outcome.HTTP_ERROR, f"HTTP {status}", False)


def test_an_error_event_is_not_a_success_and_is_quoted() -> None:
    transcript = stream(TOKEN, ERROR)
    assert (transcript.outcome, transcript.detail) == (Outcome.ERROR_EVENT, "boom")


def test_an_error_event_before_the_end_marker_still_decides() -> None:
    assert stream(TOKEN, ERROR, LAST).outcome is Outcome.ERROR_EVENT


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ('{"message":"m","code":"c"}', "m"),
        ('{"detail":"d"}', "d"),
        ('{"title":"t"}', "t"),
        ('{"code":429,"type":"rate"}', "rate"),
        ('{"x":1}', "{'x': 1}"),
        ("plain words", "plain words"),
    ],
)
def test_the_detail_of_an_error_is_its_most_telling_key(payload: str, said: str) -> None:
    assert stream(TOKEN, f"event: error\ndata: {payload}\n\n".encode()).detail == said


def test_a_long_error_message_is_bounded() -> None:
    detail = stream(TOKEN, b"event: error\ndata: " + b"x" * 5000 + b"\n\n").detail
    assert detail == "x" * 500


def test_the_end_of_the_body_without_the_end_marker_is_truncated() -> None:
    transcript = stream(TOKEN)
    assert transcript.outcome is Outcome.TRUNCATED
    assert transcript.detail == 'the stream ended without its end marker ("done": true)'


def test_an_end_marker_without_its_blank_line_does_not_count() -> None:
    transcript = stream(TOKEN, LAST[:-1])
    assert transcript.outcome is Outcome.TRUNCATED
    assert transcript.undispatched


def test_a_chunked_body_without_its_last_chunk_is_truncated() -> None:
    transcript = read([(0, CHUNKED + chunk(TOKEN))])
    assert transcript.outcome is Outcome.TRUNCATED
    assert "before the final chunk" in (transcript.detail or "")


@pytest.mark.parametrize("then", [End.RESET, End.CLOSED, End.TIMEOUT])
def test_what_the_transport_does_after_the_end_marker(then: End) -> None:
    transcript = read([(0, CHUNKED + chunk(TOKEN + LAST))], then)
    assert transcript.outcome is Outcome.OK
    assert (transcript.detail or "").startswith("after the end marker: ")


def test_a_reset_before_the_end_marker_is_truncated() -> None:
    assert read([(0, CHUNKED + chunk(TOKEN))], End.RESET).outcome is Outcome.TRUNCATED


def test_an_event_stream_without_a_token_is_empty() -> None:
    transcript = stream()
    assert (transcript.outcome, transcript.detail) == (Outcome.EMPTY, "the stream ended without a single token")


def test_comments_alone_are_not_tokens() -> None:
    transcript = stream(b": ping\n\n", b": ping\n\n")
    assert (transcript.outcome, transcript.detail) == (Outcome.EMPTY, "the stream ended without a single token")
    assert transcript.comments == 2


@pytest.mark.parametrize(
    "words",
    [
        '{"notice":"insufficient balance","choices":null}',
        '{"base_resp":{"status_code":0,"status_msg":"success"}}',
        '{"error_code":0,"error_msg":"success"}',
        '{"status":"failed over","note":"try again"}',
    ],
)
def test_an_empty_stream_quotes_the_event_that_came_in_place_of_a_token(words: str) -> None:
    """Servers have errors of their own shapes."""
    dialect = dialects.by_name("openai-chat")
    transcript = stream(f"data: {words}\n\n".encode(), b"data: [DONE]\n\n", dialect=dialect)
    assert transcript.outcome is Outcome.EMPTY
    assert transcript.detail == f"the stream ended without a single token: {words!r}"


def test_what_an_empty_stream_quotes_holds_no_secret() -> None:
    learn(["sk-abcdef0123"])
    try:
        transcript = stream(b'data: {"info":"no user sk-abcdef0123"}\n\n', dialect=dialects.by_name("openai-chat"))
    finally:
        forget()
    assert transcript.outcome is Outcome.EMPTY
    assert transcript.detail == """the stream ended without a single token: '{"info":"no user ***"}'"""


def test_an_empty_stream_of_known_events_is_not_quoted() -> None:
    role = b'data: {"object":"chat.completion.chunk","choices":[{"delta":{"role":"assistant"}}]}\n\n'
    transcript = stream(role, b'data: {"type":"ping"}\n\n', b"data: [DONE]\n\n")
    assert (transcript.outcome, transcript.detail) == (Outcome.EMPTY, "the stream ended without a single token")


def test_no_answer_at_all_is_truncated() -> None:
    transcript = read([])
    assert (transcript.outcome, transcript.detail) == (
        Outcome.TRUNCATED,
        "the connection was closed without an answer",
    )


@pytest.mark.parametrize(
    "wire",
    [
        b"<html>hello",
        head("Transfer-Encoding: chunked") + b"xyz\r\n",
        head("Content-Length: 1", "Transfer-Encoding: chunked"),
    ],
)
def test_bytes_that_are_not_http_are_a_protocol_error(wire: bytes) -> None:
    assert read([(0, wire)]).outcome is Outcome.PROTOCOL_ERROR


def test_silence_before_a_token_is_a_timeout_and_after_one_a_stall() -> None:
    assert stream(then=End.TIMEOUT).outcome is Outcome.TIMEOUT
    assert stream(b": ping\n\n", then=End.TIMEOUT).outcome is Outcome.TIMEOUT
    assert stream(TOKEN, then=End.TIMEOUT).outcome is Outcome.STALLED


def test_our_own_leaving_is_cancelled_and_the_end_of_the_run_incomplete() -> None:
    assert stream(TOKEN, then=End.CANCELLED).outcome is Outcome.CANCELLED
    assert stream(TOKEN, then=End.INTERRUPTED).outcome is Outcome.INCOMPLETE
    assert stream(TOKEN, then=None).outcome is Outcome.INCOMPLETE


@pytest.mark.parametrize("end", [End.RESET, End.TIMEOUT])
def test_a_request_that_was_never_sent_is_a_connect_error(end: End) -> None:
    transcript = interpret(Capture(START_NS, end=end, detail="refused"))
    assert (transcript.outcome, transcript.detail) == (Outcome.CONNECT_ERROR, "refused")


@pytest.mark.parametrize("media", ["application/json", "text/html", "text/plain", "application/octet-stream"])
@pytest.mark.parametrize("body", [TOKEN + LAST, b"\n\r\n" + TOKEN + LAST, b"\xef\xbb\xbf" + TOKEN + LAST,
                                  b": hi\n\n" + TOKEN + LAST, b"id: 1\n" + TOKEN + LAST])  # fmt: skip
def test_an_event_stream_under_a_wrong_label_is_read_however_it_is_cut(media: str, body: bytes) -> None:
    for name, pieces in chunkings(body):
        transcript = read([(0, head(f"Content-Type: {media}")), *((MS, piece) for piece in pieces)])
        assert transcript.outcome is Outcome.OK, name
        assert [text for _, text in transcript.tokens] == ["a"], name


N8N = [b'{"type":"begin"}\n', b'{"type":"item","content":"a"}\n', b'{"type":"item","content":"b"}\n']


@pytest.mark.parametrize("media", ["application/json", "text/html"])
def test_objects_a_line_each_are_a_stream_under_a_wrong_label_too_however_it_is_cut(media: str) -> None:
    """n8n streams so: what a line like `{"type":"begin"}` is, the next one tells."""
    for name, pieces in chunkings(b"".join(N8N)):
        transcript = read([(0, head(f"Content-Type: {media}")), *((MS, piece) for piece in pieces)])
        assert (transcript.is_stream, len(transcript.events)) == (True, 3), name
        assert transcript.outcome is Outcome.OK, name
        assert transcript.dialect_doubt is not None, name  # only the user can say where the text is


@pytest.mark.parametrize("body", [N8N[0], N8N[0] + b"\n \n", b'{\n  "a": {\n}\n}\n', N8N[0] + b"bye\n", b"{}x\n{}\n"])
def test_one_object_is_an_answer_and_no_stream_however_it_is_cut(body: bytes) -> None:
    for name, pieces in chunkings(body):
        transcript = read([(0, head("Content-Type: application/json")), *((MS, piece) for piece in pieces)])
        assert not transcript.is_stream, name


@pytest.mark.parametrize(
    "body", [b"<html>\ndata: x\n\n</html>", b'{"text":"x"}', b"dat", b"\n\n", b"\xef\xbb", b"events"]
)
def test_a_body_that_is_not_an_event_stream_is_a_protocol_error_however_it_is_cut(body: bytes) -> None:
    for name, pieces in chunkings(body):
        transcript = read([(0, head("Content-Type: text/html")), *((MS, piece) for piece in pieces)])
        assert transcript.outcome is Outcome.PROTOCOL_ERROR, name
        assert transcript.detail == "Content-Type 'text/html' and the body is not an event stream"
        assert not transcript.is_stream


def test_html_under_the_right_label_is_a_stream_without_tokens() -> None:
    transcript = stream(b"<html>\n\n</html>\n")
    assert transcript.outcome is Outcome.EMPTY
    assert transcript.detail == "the stream ended without a single token: '<html>\\n</html>'"


def test_an_sse_dialect_that_was_asked_for_does_not_make_html_a_stream() -> None:
    wire = [(0, head("Content-Type: text/html") + b"<html></html>")]
    assert read(wire, dialect=dialects.by_name("raw-text")).outcome is Outcome.PROTOCOL_ERROR


def test_a_missing_content_type_is_named_as_such() -> None:
    assert read([(0, head() + b"hello")]).detail == "Content-Type None and the body is not an event stream"


def test_plain_text_counts_each_read_as_a_token_and_no_character_is_torn() -> None:
    text = "añ…\U0001f600"
    for name, pieces in chunkings(text.encode()):
        transcript = read([(0, head("Content-Type: text/plain; charset=utf-8")), *((MS, p) for p in pieces)])
        assert transcript.text == text, name
        assert transcript.outcome is Outcome.OK, name
        assert all(event.data for event in transcript.events), name


def test_plain_text_is_not_recognised_by_http_chunks_of_one_read() -> None:
    wire = head("Content-Type: text/plain", "Transfer-Encoding: chunked") + chunk(b"one ") + chunk(b"two")
    transcript = read([(0, wire), (MS, chunk(b" three") + b"0\r\n\r\n")])
    assert [text for _, text in transcript.tokens] == ["one two", " three"]


def test_a_text_dialect_that_was_asked_for_takes_an_event_stream_as_text() -> None:
    assert stream(b"data: a\n\n", dialect=dialects.by_name("plain-text")).text == "data: a\n\n"


def test_an_unfinished_character_at_the_end_shows() -> None:
    transcript = read([(0, head("Content-Type: text/plain") + b"a\xe2\x82")])
    assert transcript.text == "a\ufffd"


def test_a_compressed_stream_is_read_with_the_time_of_the_read_that_freed_each_token() -> None:
    compressor = zlib.compressobj(wbits=31)
    first = compressor.compress(TOKEN) + compressor.flush(zlib.Z_SYNC_FLUSH)
    rest = compressor.compress(LAST) + compressor.flush()
    tape = [(0, head("Content-Type: text/event-stream", "Content-Encoding: gzip")), (5 * MS, first), (9 * MS, rest)]
    transcript = read(tape)

    assert transcript.outcome is Outcome.OK
    assert [transcript.time_of(event) - START_NS for event in transcript.events] == [5 * MS, 9 * MS]
    assert transcript.body == TOKEN + LAST


@pytest.mark.parametrize(("coding", "body"), [("gzip", TOKEN), ("br", GZIPPED), ("gzip", GZIPPED + b"junk")])
def test_a_body_that_cannot_be_decoded_is_a_protocol_error(coding: str, body: bytes) -> None:
    transcript = read([(0, head("Content-Type: text/event-stream", f"Content-Encoding: {coding}") + body)])
    assert transcript.outcome is Outcome.PROTOCOL_ERROR
    assert transcript.detail


def test_the_transcript_keeps_lines_and_body_only_on_request() -> None:
    capture = play([(0, SSE_HEAD + TOKEN + LAST)])
    kept, bare = interpret(capture, keep=True), interpret(capture)

    assert (kept.body, len(kept.lines)) == (TOKEN + LAST, 4)
    assert (bare.body, bare.lines) == (b"", [])
    assert kept.events == bare.events


def test_what_the_end_left_undispatched_is_kept_for_the_checks() -> None:
    transcript = stream(TOKEN, LAST, b"data: tail")
    assert transcript.undispatched
    assert transcript.pending is not None
    assert transcript.pending.raw == b"data: tail"
    assert not stream(TOKEN, LAST).undispatched


def test_the_server_s_retry_is_kept() -> None:
    assert stream(b"retry: 5000\n\n", TOKEN, LAST).retry_ms == 5000


def test_two_deltas_of_one_event_are_one_token() -> None:
    both = (
        b'data: {"object":"chat.completion.chunk","choices":[{"delta":{"content":"a"}},{"delta":{"content":"b"}}]}\n\n'
    )
    transcript = stream(both, b"data: [DONE]\n\n")
    assert [text for _, text in transcript.tokens] == ["ab"]


def _facts(transcript: Transcript) -> tuple[object, ...]:
    return (
        transcript.outcome, transcript.detail, transcript.dialect, transcript.dialect_rule, transcript.events,
        transcript.deltas, transcript.comments, transcript.retry_ms, transcript.undispatched, transcript.is_stream,
        transcript.body, [(line.offset, line.raw, line.terminator, line.read_index) for line in transcript.lines],
    )  # fmt: skip


BODIES = st.lists(
    st.sampled_from([TOKEN, LAST, ERROR, b": c\n\n", b"retry: 5\r\n", b"data: \xe2\x82\xac\r\r", b"\xef\xbb\xbf",
                     b"data", b"\n", b"<html>"]), max_size=6).map(b"".join)  # fmt: skip
MEDIA = st.sampled_from(["text/event-stream", "text/plain", "text/html"])


@given(BODIES, MEDIA, st.lists(st.integers(0, 150), max_size=8), st.booleans())
def test_reading_while_it_comes_equals_reading_at_the_end(
    body: bytes, media: str, points: list[int], compressed: bool
) -> None:
    coding = ["Content-Encoding: gzip"] if compressed else []
    wire = gzip.compress(body, mtime=0) if compressed else body
    tape = [(0, head(f"Content-Type: {media}", *coding)), *((MS, piece) for piece in cut(wire, points))]
    capture = play(tape)
    incremental = StreamReader(capture, keep=True)
    for index, data in by_read(capture.body):
        incremental.feed(index, data)

    assert _facts(incremental.finish()) == _facts(interpret(capture, keep=True))


@given(BODIES, MEDIA, st.lists(st.integers(0, 150), max_size=8))
def test_no_cut_changes_what_an_event_stream_says(body: bytes, media: str, points: list[int]) -> None:
    whole = read([(0, head(f"Content-Type: {media}")), (MS, body)])
    pieces = read([(0, head(f"Content-Type: {media}")), *((MS, piece) for piece in cut(body, points))])

    assert (pieces.outcome, pieces.detail, pieces.text) == (whole.outcome, whole.detail, whole.text)
    if media != "text/plain":
        assert [event[:5] for event in pieces.events] == [event[:5] for event in whole.events]
        assert pieces.deltas == whole.deltas


def test_tokens_can_be_acted_on_as_they_come() -> None:
    reader = StreamReader(play([(0, SSE_HEAD)], then=None))
    counted = []
    for piece in (TOKEN, TOKEN[:5], TOKEN[5:], LAST):
        reader.feed(0, piece)
        counted.append(reader.token_events)
    assert counted == [1, 1, 2, 2]


def test_pieces_of_one_read_are_joined_and_reads_are_not() -> None:
    assert list(by_read([(0, b"a"), (0, b"b"), (1, b"c"), (3, b"d"), (3, b"")])) == [(0, b"ab"), (1, b"c"), (3, b"d")]
    assert list(by_read([])) == []


def chat(**delta: object) -> bytes:
    chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    return f"data: {json.dumps(chunk, separators=(',', ':'), ensure_ascii=False)}\n\n".encode()


CHAT_PIECES = st.sampled_from(
    [
        chat(content="a"),
        chat(content="b\n"),
        chat(content="\u20ac"),
        chat(content=""),
        chat(role="assistant"),
        chat(reasoning_content="r"),
        chat(content="},{"),
        b": c\n\n",
        b"event: x\n" + chat(content="e"),
        b"data: [DONE]\n\n",
        b"data: {\n\n",
        b'data: {"a":"\n\n',
        b"id: 7\n\n",
        chat(content="a").replace(b"\n\n", b"\r\n\r\n"),
        b"data: \xff\n\n",
        b'data: {"usage":{"completion_tokens":3},"choices":[]}\n\n',
        b'data: {"error":{"message":"no"}}\n\n',
    ]
)


@given(st.lists(CHAT_PIECES | st.just(chat(content="word")), max_size=90), st.lists(st.integers(0, 4000), max_size=3))
def test_a_body_read_at_once_equals_one_read_piece_by_piece(pieces: list[bytes], more: list[int]) -> None:
    """Runs of plain tokens are read together; nothing may tell the difference."""
    joined = cut(b"".join(pieces), more)
    for tape in ([(0, SSE_HEAD), *((MS, piece) for piece in pieces)], [(0, SSE_HEAD), *((MS, p) for p in joined)]):
        capture = play(tape)
        single = StreamReader(capture)
        for index, data in by_read(capture.body):
            single.feed(index, data)
        assert _facts(interpret(capture)) == _facts(single.finish())


def test_two_broken_chunks_are_not_taken_for_whole_ones() -> None:
    broken = [b'data: {"choices":[{"delta":{"content":"a\n\n', b'data: b"}}]}\n\n']
    transcript = interpret(play([(0, SSE_HEAD), (1, chat(content="x")), *((2, piece) for piece in broken * 8)]))
    assert transcript.text == "x"


# Errors without an event, and payloads that cannot be read

CHAT = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
CHAT_FINISH = CHAT.replace(b'{"content":"a"}', b'{},"finish_reason":"stop"')
CHAT_DONE = b"data: [DONE]\n\n"
PRETTY = b'{\n  "error": {\n    "message": "boom",\n    "code": 500\n  }\n}'


@pytest.mark.parametrize("name", [None, *(dialect.name for dialect in dialects.DIALECTS if dialect.media is Media.SSE)])
@pytest.mark.parametrize(
    "error",
    [
        b'{"error":{"message":"boom","code":400}}',
        b'{"error":{"message":"boom"}}\n\n',
        PRETTY,
        PRETTY + b"\n",
        b'error: {"message": "boom"}\n\n',
        b"error: boom\n",
        b'{"detail":"boom"}\n',
    ],
)
def test_an_error_without_an_event_is_an_error_in_every_dialect(name: str | None, error: bytes) -> None:
    transcript = stream(error, dialect=dialects.by_name(name) if name else None)
    assert (transcript.outcome, transcript.detail) == (Outcome.ERROR_EVENT, "boom")
    assert transcript.tokens == []


@pytest.mark.parametrize("error", [b'{"error":{"message":"boom"}}\n', PRETTY, b"error: boom\n\n"])
@pytest.mark.parametrize("tail", [b"", CHAT_DONE])
def test_an_error_without_an_event_behind_tokens_is_an_error(error: bytes, tail: bytes) -> None:
    transcript = stream(CHAT, CHAT, error + b"\n" * bool(tail), tail)
    assert (transcript.outcome, transcript.detail, transcript.text) == (Outcome.ERROR_EVENT, "boom", "aa")


@pytest.mark.parametrize(
    "line",
    [
        b'{"detail":"x"}\n\n',  # it does not call itself an error, and tokens came
        b"data: a\nerror: x\n\n",  # in an event: the model's text, with a line end that was not escaped
        b"errors: x\n\n",
        b": error: x\n\n",
    ],
)
def test_other_lines_outside_of_events_are_not_errors(line: bytes) -> None:
    transcript = stream(b"data: hello\n\n", line, CHAT_DONE, dialect=dialects.by_name("raw-text"))
    assert transcript.outcome is Outcome.OK


@pytest.mark.parametrize("name", [None, "openai-chat", "anthropic", "token-done", "event-json"])
@pytest.mark.parametrize(
    "error",
    [
        '{"detail":"boom"}',
        '{"detail":[{"msg":"boom"}]}',
        '{"success":false,"message":"boom"}',
        '{"status":"failed","message":"boom"}',
        '{"code":10007,"message":"boom","sid":"x"}',
        '{"success":false,"msg":"boom"}',
    ],
)
@pytest.mark.parametrize("tail", [b"", b"data: [DONE]\n\n"])
def test_an_object_that_may_be_an_error_is_one_where_nothing_else_came(
    name: str | None, error: str, tail: bytes
) -> None:
    transcript = stream(f"data: {error}\n\n".encode(), tail, dialect=dialects.by_name(name) if name else None)
    assert (transcript.outcome, transcript.detail, transcript.tokens) == (Outcome.ERROR_EVENT, "boom", [])
    behind = stream(CHAT, f"data: {error}\n\n".encode(), CHAT, CHAT_DONE)
    assert (behind.outcome, behind.text) == (Outcome.OK, "aa")


@pytest.mark.parametrize("error", ['{"message":"%s"}', '{"Message":"%s"}', '{"code":"Bad","message":"%s"}'])
def test_a_message_alone_is_an_error_where_it_says_so_or_the_dialect_has_no_such_answer(error: str) -> None:
    told, plain = "Endpoint request timed out", "boom"
    for name in (None, "openai-chat", "cohere", "token-done"):
        transcript = stream(f"data: {error % told}\n\n".encode(), dialect=dialects.by_name(name) if name else None)
        assert (transcript.outcome, transcript.detail) == (Outcome.ERROR_EVENT, told)
    for name in ("openai-chat", "anthropic", "cohere"):
        transcript = stream(f"data: {error % plain}\n\n".encode(), dialect=dialects.by_name(name))
        assert (transcript.outcome, transcript.detail) == (Outcome.ERROR_EVENT, plain)
    # In a shape that nobody knows it may be the whole answer.
    assert stream(f"data: {error % plain}\n\n".encode()).outcome is not Outcome.ERROR_EVENT


def test_text_under_the_key_of_an_error_is_no_error() -> None:
    transcript = stream(*(f'data: {{"detail":"word {n}"}}\n\n'.encode() for n in range(5)))
    assert transcript.outcome is not Outcome.ERROR_EVENT


@pytest.mark.parametrize("reason", ["error", "ERROR", "ERROR_TOXIC"])
@pytest.mark.parametrize("tokens", [0, 3])
def test_a_finish_reason_that_says_error_is_no_success(reason: str, tokens: int) -> None:
    finish = CHAT_FINISH.replace(b'"stop"', f'"{reason}"'.encode())
    assert finish != CHAT_FINISH
    transcript = stream(*[CHAT] * tokens, finish, CHAT_DONE)
    assert (transcript.outcome, transcript.detail) == (Outcome.ERROR_EVENT, f"the finish reason is {reason!r}")
    assert stream(*[CHAT] * tokens, CHAT_FINISH, CHAT_DONE).outcome is Outcome.OK


@pytest.mark.parametrize("media", ["application/json", "text/html"])
@pytest.mark.parametrize("name", [None, "openai-chat"])
def test_a_json_error_in_place_of_a_stream_is_an_error(media: str, name: str | None) -> None:
    for way, pieces in chunkings(b'{"error":{"message":"no model"}}'):
        tape = [(0, head(f"Content-Type: {media}")), *((MS, piece) for piece in pieces)]
        transcript = read(tape, dialect=dialects.by_name(name) if name else None)
        assert transcript.detail == "a JSON error in place of a stream: no model", way
        assert (transcript.outcome, transcript.is_stream) == (Outcome.ERROR_EVENT, False), way


def test_an_event_that_a_heartbeat_has_cut_is_a_payload_that_cannot_be_read() -> None:
    transcript = stream(CHAT, CHAT[:40], b": heartbeat\n\n", CHAT[40:], CHAT, CHAT_DONE)
    assert transcript.outcome is Outcome.PROTOCOL_ERROR
    assert (transcript.detail or "").startswith("a payload cannot be read: not JSON: ")
    assert "byte" not in (transcript.detail or "")  # `load` counts equal details together
    assert transcript.text == "aa"


@pytest.mark.parametrize("event", [b"data: \n\n", b"event: status\ndata: searching\n\n", b"event: ping\ndata: now\n\n"])
def test_a_heartbeat_or_an_event_of_the_application_need_not_be_json(event: bytes) -> None:
    assert stream(CHAT, event, CHAT, CHAT_DONE).outcome is Outcome.OK


def test_an_application_may_mix_json_of_another_kind_into_its_shape() -> None:
    text, sources = b'data: "a"\n\n', b'data: {"sources":[1]}\n\n'
    shape = dialects.by_name("json-string")
    assert stream(text, sources, text, CHAT_DONE, dialect=shape).outcome is Outcome.OK
    assert stream(text, b"data: hello\n\n", text, CHAT_DONE, dialect=shape).outcome is Outcome.PROTOCOL_ERROR
    assert stream(CHAT, b'data: "a"\n\n', CHAT, CHAT_DONE).outcome is Outcome.PROTOCOL_ERROR


GREETINGS = ["connected", "ok", "null", '""', "[START]", "1", ": hello", "[]"]


@pytest.mark.parametrize("name", [None, "openai-chat"])
@pytest.mark.parametrize("greeting", GREETINGS)
def test_one_payload_of_no_dialect_before_or_behind_the_answer_is_told_and_is_no_defect_of_it(
    greeting: str, name: str | None
) -> None:
    dialect = dialects.by_name(name) if name else None
    hello = f"data: {greeting}\n\n".encode()
    before = stream(hello, CHAT, CHAT, CHAT_FINISH, CHAT_DONE, dialect=dialect)
    assert (before.outcome, before.text, len(before.tokens)) == (Outcome.OK, "aa", 2)
    assert before.detail == f"a payload before the answer is no part of it: {greeting!r}"
    behind = stream(CHAT, CHAT, CHAT_FINISH, hello, CHAT_DONE, dialect=dialect)
    assert behind.detail == f"a payload behind the answer is no part of it: {greeting!r}"
    assert stream(CHAT, hello, CHAT, CHAT_FINISH, CHAT_DONE, dialect=dialect).outcome is Outcome.PROTOCOL_ERROR
    assert stream(hello, hello, *[CHAT] * 4, CHAT_DONE, dialect=dialect).outcome is Outcome.PROTOCOL_ERROR
    alone = stream(hello, CHAT_DONE, dialect=dialects.by_name("openai-chat"))
    assert alone.outcome is Outcome.PROTOCOL_ERROR


@pytest.mark.parametrize("hello", [b"data: {}\n\n", b"data:\n\n", b"event: open\ndata: connected\n\n"])
def test_a_greeting_that_can_be_read_needs_no_word(hello: bytes) -> None:
    transcript = stream(hello, CHAT, CHAT, CHAT_FINISH, CHAT_DONE)
    assert (transcript.outcome, transcript.detail, transcript.text) == (Outcome.OK, None, "aa")


@pytest.mark.parametrize("part", ['{"choices":[{"del', '"choices":[]}', '"hel', '[{"a"', '{"a":1}{"b":2}'])
@pytest.mark.parametrize("at", [0, 1, 3])
def test_a_part_of_a_payload_is_a_protocol_error_wherever_it_stands(part: str, at: int) -> None:
    events = [CHAT, CHAT, CHAT_FINISH, CHAT_DONE]
    events.insert(at, f"data: {part}\n\n".encode())
    assert stream(*events, dialect=dialects.by_name("openai-chat")).outcome is Outcome.PROTOCOL_ERROR


def test_an_error_event_says_more_than_a_payload_that_cannot_be_read() -> None:
    assert stream(CHAT, b"data: {x\n\n", b'data: {"error":{"message":"boom"}}\n\n').detail == "boom"


def test_a_line_of_json_that_the_end_of_the_body_cuts_is_not_a_payload_that_cannot_be_read() -> None:
    line = b'{"message":{"role":"assistant","content":"a"},"done":false}\n'
    for then in (End.CLOSED, End.RESET):
        transcript = stream(
            line, line[:20], then=then, dialect=dialects.by_name("ollama"), media="application/x-ndjson"
        )
        assert transcript.outcome is Outcome.TRUNCATED
    broken = stream(line[:20] + b"\n", line, dialect=dialects.by_name("ollama"), media="application/x-ndjson")
    assert broken.outcome is Outcome.PROTOCOL_ERROR


def test_a_body_read_in_windows_equals_one_read_at_once() -> None:
    """Also where the text of a read is one event: no window ends in the middle of a read."""
    tape = [(0, head("Content-Type: text/plain", "Transfer-Encoding: chunked"))]
    tape += [(MS * number, chunk(b"a" * 100_000) + chunk(b"b" * 100_000)) for number in range(1, 10)]
    capture = play(tape)
    pauses: list[int] = []

    in_windows = interpret(capture, pause=lambda: pauses.append(1))

    assert in_windows == interpret(capture)
    assert len(pauses) == 5
    assert [len(event.data) for event in in_windows.events] == [200_000] * 9
