"""When a response must end although bytes still come: its content fails to come, or exceeds a limit."""

import pytest

from streamgauge.endpoint.content_limit import ContentLimit, Patience
from streamgauge.protocol import dialects
from streamgauge.protocol.cutters import MAX_IDLE_LINES
from streamgauge.protocol.reader import MAX_EVENTS
from streamgauge.wire import Capture, End, Excess
from tests.builders.tapes import MS, SSE_HEAD, START_NS, play

TOKEN = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
PATIENCE = Patience(silence_s=60.0, grace_s=2.0)


def limit_of(*pieces: bytes) -> tuple[ContentLimit, Capture]:
    capture = play([(0, SSE_HEAD), *((MS * number, piece) for number, piece in enumerate(pieces, 1))], None)
    return ContentLimit(capture, dialects.by_name("openai-chat"), PATIENCE), capture


def test_lines_that_bring_no_event_exceed_a_limit() -> None:
    limit, _ = limit_of(TOKEN, b":\n" * (2 * MAX_IDLE_LINES))

    limit.allowance()

    assert limit.excess is not None
    assert limit.excess.end is End.TOO_LARGE
    assert "lines came" in limit.excess.detail


def test_heartbeats_between_tokens_never_exceed_it() -> None:
    limit, _ = limit_of((TOKEN + b": heartbeat\n\n" * 20) * (MAX_IDLE_LINES // 20))

    limit.allowance()

    assert limit.excess is None


def test_events_beyond_any_answer_of_a_model_exceed_a_limit_however_often_they_were_looked_at() -> None:
    limit, capture = limit_of(TOKEN)
    many = b"data: {}\n\n" * 10_000
    for _ in range(MAX_EVENTS // 10_000):
        assert limit.excess is None
        capture.body.append((1, many))
        limit.allowance()

    assert limit.excess == Excess(End.TOO_LARGE, f"the stream has more than {MAX_EVENTS:,} events")


def test_what_was_judged_is_not_kept() -> None:
    limit, _ = limit_of(*[TOKEN] * 1_000)

    limit.allowance()

    assert limit.reader.token_events == 1_000
    assert not limit.reader.transcript.events


def test_it_counts_from_the_last_content_also_when_that_is_not_kept() -> None:
    limit, capture = limit_of(TOKEN, TOKEN)
    limit.allowance()
    capture.body.append((0, b": heartbeat\n\n"))

    since_ns, allowed_s, detail = limit.allowance()

    assert (since_ns, allowed_s) == (START_NS + 2 * MS, 60.0)
    assert detail == "no content came for 60.0 s, only comments"


def test_tokens_behind_the_end_marker_do_not_keep_a_stream_open() -> None:
    limit, _ = limit_of(TOKEN, DONE, TOKEN, TOKEN)

    since_ns, allowed_s, detail = limit.allowance()

    assert (since_ns, allowed_s) == (START_NS + 2 * MS, 2.0)
    assert detail == "the body did not end in 2.0 s after the end marker"


@pytest.mark.parametrize(
    "beat",
    [b'{"beat":true}', b'{"status":"thinking","elapsed":%d}', b" ", b"..."],
    ids=["the same object", "only a number changes", "white space", "the same text"],
)
@pytest.mark.parametrize("name", [None, "raw-text"])
def test_of_an_unknown_shape_only_other_words_are_content(beat: bytes, name: str | None) -> None:
    """An endpoint that only ever sent its heartbeat kept `probe` for its whole ten minutes."""
    beats = [b"data: " + (beat % number if b"%d" in beat else beat) + b"\n\n" for number in range(40)]
    capture = play([(0, SSE_HEAD), *((MS * number, piece) for number, piece in enumerate(beats, 1))], None)

    dialect = name and dialects.by_name(name)
    since_ns, _, detail = ContentLimit(capture, dialect or None, PATIENCE).allowance()

    assert since_ns == START_NS + MS
    assert detail == "no content came for 60.0 s, only events without new text"


def test_a_heartbeat_known_as_one_was_never_content() -> None:
    beats = [(MS * number, b'data: {"heartbeat":true}\n\n') for number in range(1, 41)]

    since_ns, _, detail = ContentLimit(play([(0, SSE_HEAD), *beats], None), None, PATIENCE).allowance()

    assert since_ns is None
    assert detail == "no content came for 60.0 s, only events without text"


@pytest.mark.parametrize("shape", [b'{"out":{"word":"w%d"}}', b"w%d", b'["w%d"]'])
def test_words_of_an_unknown_shape_are_content(shape: bytes) -> None:
    words = [(MS * number, b"data: " + shape % number + b"\n\n") for number in range(1, 41)]
    limit = ContentLimit(play([(0, SSE_HEAD), *words], None), None, PATIENCE)

    assert limit.allowance().since_ns == START_NS + 40 * MS


def test_a_token_that_comes_again_is_content_where_the_shape_says_so() -> None:
    same = [(MS * number, TOKEN) for number in range(1, 41)]
    limit = ContentLimit(play([(0, SSE_HEAD), *same], None), None, PATIENCE)

    assert limit.allowance().since_ns == START_NS + 40 * MS
