"""Each fault of the body on the wire: exactly that change, and otherwise the bytes of the clean stream."""

import pytest

from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.faults.security import CANARY
from tests.mock_provider.fault_wire import clean_and_faulty, steady_chunks, steady_head
from tests.mock_provider.mock_wire import steady
from tests.mock_provider.wire_cases import BODIES, Case


@pytest.mark.parametrize("case", BODIES, ids=lambda case: f"{case.spec}-{case.dialect}")
def test_fault_changes_exactly_this_of_the_body(mock: MockServer, case: Case) -> None:
    clean, faulty = clean_and_faulty(mock, case.dialect, case.spec, more=case.more)
    chunks = steady_chunks(clean)
    assert steady_chunks(faulty) == case.expect(chunks)
    assert (faulty.end, faulty.whole, steady(faulty.rest)) == (case.end, case.whole, case.rest(chunks))
    assert steady_head(faulty) == steady_head(clean)


def test_an_unframed_error_falls_out_of_its_event(mock: MockServer) -> None:
    _, json_error = clean_and_faulty(mock, "openai-chat", "error-unframed,error-lines:2")
    _, raw_error = clean_and_faulty(mock, "event-text", "error-unframed,error-lines:2")
    first, second, third = (
        "the upstream model failed while it was generating",
        "streamgauge-second line",
        "streamgauge-third line",
    )
    assert f'"{first}\n{second}\r\n\r\n{third}"'.encode() in json_error.chunks[-1]
    assert raw_error.chunks[-1] == f"event: error\ndata: {first}\n{second}\n\n{third}\n\n".encode()


@pytest.mark.parametrize(("spec", "quoted"), [("secret-in-error:2", CANARY), ("stack-trace:2", "\\n   at System.Net")])
def test_error_that_tells_too_much(mock: MockServer, spec: str, quoted: str) -> None:
    clean, faulty = clean_and_faulty(mock, "openai-chat", spec)
    assert steady_chunks(faulty)[:-1] == steady_chunks(clean)[:3]
    assert faulty.chunks[-1].startswith(b'data: {"error":{"message":')
    assert quoted.encode() in faulty.chunks[-1]
    assert (faulty.whole, faulty.end) == (True, "fin")
