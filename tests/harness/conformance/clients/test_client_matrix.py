"""The matrix on a corpus of bodies: each client's verdict and the byte to blame, under every way to cut the body."""

import gzip
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamgauge.conformance.clients import CLIENTS
from streamgauge.conformance.clients.client_matrix import (
    MAX_BYTES,
    MAX_LINES,
    WHOLE,
    ReplayedStream,
    compare_clients,
    stream_of,
)
from streamgauge.conformance.clients.running import Ending
from streamgauge.conformance.matrix import ASIDE, ClientVerdict, Matrix
from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import Media
from streamgauge.protocol.transcript import Transcript
from streamgauge.secrets import learn
from streamgauge.wire import End
from tests.builders.tapes import MS, chunk, cut, head, read
from tests.harness.conformance.clients.corpus import BODIES, BOM, CHAT, READS, Body

HELPERS = {client.name for client in CLIENTS if client.gathers}
CHAT_DIALECT = dialects.by_name("openai-chat")


def matrix_of(one: Body) -> Matrix:
    return compare_clients([ReplayedStream([one.body], one.ending, one.media_type)], dialects.by_name(one.dialect))


@cache
def known(name: str) -> Matrix:
    """The matrix of a body of the corpus."""
    return matrix_of(BODIES[name])


@pytest.mark.parametrize("name", BODIES)
def test_each_client_on_each_body(name: str) -> None:
    """Whole, byte by byte and as it arrived alike: none of these clients depends on its reads here.

    SDKs' helpers read the same events as the raw streams beside them; test_helpers.py has bodies for them.
    """
    one, matrix = BODIES[name], known(name)
    rows = [row for row in matrix.rows if row.result.verdict not in ASIDE and row.client not in HELPERS]
    breaks = {row.client: (row.result.verdict, row.result.offset) for row in rows if row.result.verdict is not READS}

    assert breaks == {client: found for client, found in one.breaks.items() if found[0] is not READS}
    assert [row.client for row in rows if row.otherwise] == []
    assert {row.client for row in matrix.rows if row.result.verdict is ClientVerdict.NOT_INSTALLED} == set()


def test_every_client_reads_something_and_fails_somewhere() -> None:
    """A row that could only ever say one thing would tell nothing."""
    seen: dict[str, set[ClientVerdict]] = {}
    for name in BODIES:
        for row in known(name).rows:
            seen.setdefault(row.client, set()).add(row.result.verdict)
    assert {client.name for client in CLIENTS} == set(seen)
    assert [name for name, verdicts in seen.items() if READS not in verdicts] == []
    assert [name for name, verdicts in seen.items() if not verdicts - {READS, *ASIDE}] == []


CLEAN = ("clean", "CRLF", "CR", "Anthropic", "Gemini", "Ollama", "named JSON with a heartbeat")


@settings(max_examples=40)
@given(name=st.sampled_from(CLEAN), points=st.lists(st.integers(1, 650), max_size=8))
def test_no_verdict_depends_on_where_the_reads_fell(name: str, points: list[int]) -> None:
    """Emulations and the quicker of the real decoders; every cut gives what the whole body gives."""
    one = BODIES[name]
    slow = {"openai", "anthropic", "google-genai"}
    quick = [client for client in CLIENTS if client.package not in slow]
    dialect = dialects.by_name(one.dialect)

    def verdicts(pieces: list[bytes]) -> list[tuple[str, ClientVerdict, int | None]]:
        rows = compare_clients([ReplayedStream(pieces, one.ending, one.media_type)], dialect, clients=quick).rows
        return [(row.client, row.result.verdict, row.result.offset) for row in rows]

    assert verdicts(cut(one.body, points)) == verdicts([one.body])


def test_a_reader_that_lives_off_its_reads_is_told_apart() -> None:
    """A CR that ends a read and is never followed by another line end: whole, eventsource-parser dispatches it."""
    body = b"data: x\r\rdata"
    matrix = compare_clients([ReplayedStream([body[:9], body[9:]])], dialects.by_name("raw-text"))
    row = next(row for row in matrix.rows if row.client == "eventsource-parser")

    assert (row.result.verdict, row.result.offset) == (ClientVerdict.LOSES, 0)
    assert [(one.cut, one.verdict) for one in row.otherwise] == [(WHOLE, READS)]


def test_a_package_that_is_missing_or_too_old_is_not_judged() -> None:
    absent = CLIENTS[0]._replace(package="no-such-package")
    old = CLIENTS[0]._replace(least="999.1")
    for client, needs in ((absent, "no-such-package 3.52"), (old, "openai 999.1")):
        result = compare_clients([ReplayedStream([CHAT])], CHAT_DIALECT, clients=[client]).rows[0].result
        assert result.verdict is ClientVerdict.NOT_INSTALLED
        assert result.reason == f"needs {needs} or newer: pip install 'streamgauge[clients]'"


def test_what_it_says_of_a_loss() -> None:
    matrix = matrix_of(Body("openai-chat", BOM + CHAT[CHAT.index(b"data", 5) :]))
    row = next(row for row in matrix.rows if row.client == "httpx-sse")

    assert row.result.reason == "event 1 of 4 is lost: it carries the text 'Hel'"
    assert row.result.excerpt is not None
    assert row.result.excerpt.startswith("<U+FEFF>data: ")
    assert row.broken


def test_a_missing_end_marker_is_a_note_on_who_does_not_miss_it() -> None:
    matrix = known("no [DONE]")
    notes = {row.client: row.note for row in matrix.rows}
    assert notes["openai-python raw"] == "ends as if all were well: it does not miss the end marker (data: [DONE])"
    assert (notes["EventSource"] or "").startswith("sends the request again")
    assert known("clean").rows[0].note is None


def test_an_error_that_is_passed_on_is_no_fault_of_the_client() -> None:
    rows = {row.client: row.result for row in known("an error").rows}
    assert (rows["openai-python raw"].verdict, rows["openai-python raw"].reason) == (
        READS,
        "tells its caller of the error: APIError: boom",
    )


def test_the_worst_stream_of_several_is_told_with_its_scenario() -> None:
    streams = [ReplayedStream([CHAT], scenario="happy"), ReplayedStream([BODIES["U+2028"].body], scenario="texts")]
    row = next(row for row in compare_clients(streams, CHAT_DIALECT).rows if row.client == "httpx iter_lines")
    assert (row.scenario, row.result.verdict) == ("texts", ClientVerdict.RAISES)


def test_event_source_is_not_asked_about_a_post() -> None:
    rows = {row.client: row.result for row in compare_clients([ReplayedStream([CHAT])], CHAT_DIALECT, "POST").rows}
    assert (rows["EventSource"].verdict, rows["EventSource"].reason) == (ClientVerdict.NOT_APPLICABLE, "sends only GET")


def test_plain_text_is_for_none_of_them() -> None:
    plain = dialects.by_name("plain-text")
    assert plain.media is Media.TEXT
    assert {row.result.verdict for row in compare_clients([ReplayedStream([b"Hello"])], plain).rows} == {
        ClientVerdict.NOT_APPLICABLE
    }


def test_secrets_do_not_come_back() -> None:
    body = b'data: {"choices":[],"id":"sk-abcdefghijklmnopqrstuv"}\n\ndata: hunter2hunter2\n\n' + CHAT
    learn(["hunter2hunter2"])
    matrix = compare_clients([ReplayedStream([body])], CHAT_DIALECT)
    told = " ".join(f"{row.result.reason} {row.result.excerpt}" for row in matrix.rows)
    assert "***" in told
    assert "hunter2" not in told
    assert "sk-abcdefghijk" not in told


def captured(body: bytes, *headers: str, then: End | None = End.CLOSED) -> Transcript:
    return read([(0, head(*headers)), *((MS, body[at : at + 7]) for at in range(0, len(body), 7))], then)


class TestWhatIsReplayed:
    def test_the_pieces_are_those_of_the_reads(self) -> None:
        stream = stream_of(captured(CHAT, "Content-Type: text/event-stream"), "happy")
        assert stream is not None
        assert [len(piece) for piece in stream.pieces[:3]] == [7, 7, 7]
        assert (b"".join(stream.pieces), stream.ending, stream.scenario) == (CHAT, Ending.EOF, "happy")

    def test_content_coding_is_undone_read_by_read(self) -> None:
        body = gzip.compress(CHAT)
        stream = stream_of(captured(body, "Content-Type: text/event-stream", "Content-Encoding: gzip"))
        assert stream is not None
        assert b"".join(stream.pieces) == CHAT
        assert len(stream.pieces) > 1

    @pytest.mark.parametrize(
        ("headers", "then", "ending"),
        [
            (("Transfer-Encoding: chunked",), End.CLOSED, Ending.BROKEN),
            ((), End.RESET, Ending.BROKEN),
            ((), End.TIMEOUT, Ending.NOTHING),
            ((), End.CANCELLED, Ending.NOTHING),
            ((), End.CLOSED, Ending.EOF),
        ],
    )
    def test_what_comes_after_the_last_byte(self, headers: tuple[str, ...], then: End, ending: Ending) -> None:
        body = chunk(CHAT) if headers else CHAT
        stream = stream_of(captured(body, "Content-Type: text/event-stream", *headers, then=then))
        assert stream is not None
        assert stream.ending is ending

    def test_what_is_no_stream_is_not_replayed(self) -> None:
        assert stream_of(captured(b'{"error":"no"}', "Content-Type: application/json")) is None


class TestBounds:
    def test_a_large_body_is_replayed_in_part(self) -> None:
        body = CHAT * 600
        matrix = compare_clients([ReplayedStream([body])], CHAT_DIALECT, clients=CLIENTS[1:2])
        assert matrix.bytes <= MAX_BYTES
        assert matrix.caveat == f"of a body of {len(body):,} bytes only the first {matrix.bytes:,} were replayed"

    def test_so_is_one_of_many_lines(self) -> None:
        matrix = compare_clients([ReplayedStream([b"\n" * 100_000])], CHAT_DIALECT, clients=CLIENTS[1:2])
        assert matrix.bytes == MAX_LINES

    def test_an_event_that_is_too_large_is_left_out(self) -> None:
        matrix = compare_clients([ReplayedStream([b"data: " + b"x" * (MAX_BYTES + 1) + b"\n\n"])], CHAT_DIALECT)
        assert matrix.bodies == 0
        assert matrix.caveat == "a body was left out: its first event is larger than 262,144 bytes"

    @pytest.mark.parametrize(
        "body",
        [
            b"[" * 100_000,
            b"data: " + b"[" * 100_000 + b"\n\n",
            b"data: " + b"9" * 100_000 + b"\n\n",
            b"data: a\n" * 3_000,
            b"\n" * 5_000,
            b"\r" * 5_000,
            b":\n\n" * 2_000,
            b"event: \xff\xfe\x00\ndata: \x1b[31m\xed\xa0\x80\n\n",
            b"data: 1e999\n\ndata: NaN\n\ndata: null\n\n",
            b"",
        ],
        ids=lambda body: repr(body[:12]),
    )
    def test_hostile_bytes_end_in_a_verdict(self, body: bytes) -> None:
        for name in ("openai-chat", "anthropic"):
            matrix = compare_clients([ReplayedStream([body])], dialects.by_name(name))
            assert len(matrix.rows) == len(CLIENTS)
            assert not any("\x1b" in f"{row.result.reason}{row.result.excerpt}" for row in matrix.rows)
