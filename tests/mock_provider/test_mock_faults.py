"""What holds for every fault: it is tried, it explains itself, it composes, and a rate strikes its share."""

from importlib import import_module
from pkgutil import iter_modules

from streamgauge.mock_provider import faults
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.faults import FAULTS, ndjson, vendors
from tests.mock_provider.fault_wire import clean_and_faulty, play, steady_chunks
from tests.mock_provider.mock_wire import HTTP, connect, read_to_end, request_bytes
from tests.mock_provider.wire_cases import BODIES, BOM, HEADS, T0


def test_a_fault_that_a_dialect_cannot_show(mock: MockServer) -> None:
    answer = play(mock, "raw-text", "[[mock fault=finish-null]]")
    assert answer.status == 400
    assert b"finish-null needs openai" in answer.rest
    with MockServer(MockConfig(tokens=6, ttft="0", itl="0", faults=("finish-null", "crlf"))) as server:
        # A flag speaks to all dialects: where it can't apply it doesn't.
        answer = play(server, "raw-text", "x")
        assert answer.chunks[0].endswith(b"\r\n\r\n")


def test_an_endless_stream_cannot_be_held_to_its_end(mock: MockServer) -> None:
    answer = play(mock, "raw-text", "[[mock script=endless fault=no-flush]]")
    assert (answer.status, b"needs finite" in answer.rest) == (400, True)


def test_faults_compose(mock: MockServer) -> None:
    clean, faulty = clean_and_faulty(mock, "openai-chat", "crlf,no-terminal,wrong-content-type,fin:4")
    assert steady_chunks(faulty) == [chunk.replace(b"\n", b"\r\n") for chunk in steady_chunks(clean)[: T0 + 4]]
    assert faulty.header("content-type") == ["text/plain"]


def test_an_unannounced_close_follows_a_whole_answer(mock: MockServer) -> None:
    with connect(mock.url) as client:
        client.sendall(
            request_bytes("raw-text", "[[mock id=unannounced tokens=3 fault=close-unannounced]]", headers=())
        )
        raw, end = read_to_end(client)
    assert end == "fin"
    assert raw.endswith(b"\r\n0\r\n\r\n")
    assert b"\r\nconnection:" not in raw.lower()
    (stream,) = HTTP.get(f"{mock.url}/_mock/streams/unannounced", params={"wait": 5}).json()["streams"]
    assert stream["end"] == "complete"


def test_every_fault_is_exercised_here() -> None:
    exercised = {case.name for case in BODIES} | {spec.partition(":")[0] for spec in HEADS}
    exercised |= {"no-answer", "accept-close", "html-200", "status", "secret-in-error", "stack-trace", "rst-at"}
    exercised |= {"100-first", "103-first", "error-unframed", "status-lines", "context-length"}
    exercised |= {"chunk-extensions", "close-unannounced"}
    exercised |= {"fragile", "leaks-slots", "head-as-get", "always-streams", "half-close-hangs"}
    exercised |= {"error-string", "http10-chunked", "no-retry-after", "strict-accept"}
    exercised |= {"ok-on-bad-json", "no-validation", "no-allow"}
    exercised |= {"no-input-limit", "ignores-max-tokens", "overload-status"}  # see test_mock_limits
    of_vendors = {fault.name for fault in (*ndjson.FAULTS, *vendors.FAULTS)}  # see test_mock_vendor_faults
    assert exercised == set(FAULTS) - of_vendors


def test_every_file_of_faults_is_registered() -> None:
    """A file without a line in `__init__.py` would be ignored without a word."""
    registered = {id(fault) for fault in FAULTS.values()}
    for found in iter_modules(faults.__path__):
        module = import_module(f"{faults.__name__}.{found.name}")
        missing = [fault.name for fault in getattr(module, "FAULTS", ()) if id(fault) not in registered]
        assert not missing, f"add {found.name} to mock_provider/faults/__init__.py: it has {', '.join(missing)}"


def test_every_fault_says_what_it_does_and_hooks_in_somewhere() -> None:
    for fault in FAULTS.values():
        hooks = (
            fault.items,
            fault.events,
            fault.line,
            fault.body,
            fault.head,
            fault.wire,
            fault.answer,
            fault.answered,
        )
        assert fault.sentence
        assert fault.server_wide != any(hooks)


def test_a_fault_by_header_is_the_fault_by_directive(mock: MockServer) -> None:
    by_directive = play(mock, "json-string", "[[mock seed=5 fault=crlf,fin:2]]")
    by_header = play(mock, "json-string", "hi", "X-Mock-Fault: crlf, fin:2", "X-Mock-Directive: seed=5")
    assert steady_chunks(by_header) == steady_chunks(by_directive)
    assert (by_header.end, by_header.whole, len(by_header.chunks)) == ("fin", False, 2)
    assert play(mock, "json-string", "hi", "X-Mock-Fault: gremlins").status == 400


def struck(percent: str, seed: int, count: int = 60) -> list[bool]:
    config = MockConfig(tokens=2, ttft="0", itl="0", seed=seed, faults=(f"status:503@{percent}",))
    with MockServer(config) as server:
        return [play(server, "raw-text", f"[[mock id=n{number}]]").status == 503 for number in range(count)]


def test_a_rate_strikes_its_share_and_the_same_streams_every_time() -> None:
    first = struck("30%", seed=1)
    assert first == struck("30%", seed=1)
    assert first != struck("30%", seed=2)
    assert 8 <= sum(first) <= 28
    assert (sum(struck("0%", 1, 10)), sum(struck("100%", 1, 10))) == (0, 10)


def test_a_fault_strikes_the_event_that_holds_its_token(mock: MockServer) -> None:
    """The middle token, 3, shares an event with token 2, or with 4 and 5."""
    for size, event in ((2, 1), (3, 1)):
        answer = play(mock, "raw-text", f"[[mock tokens=6 tokens_per_event={size} fault=bom-mid]]")
        assert [chunk.startswith(BOM) for chunk in answer.chunks].index(True) == event
