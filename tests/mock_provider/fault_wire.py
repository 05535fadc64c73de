"""A clean stream and the same stream with a fault, as they came over the wire."""

import re

from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.faults import FAULTS
from tests.mock_provider.mock_wire import HTTP, Answer, connect, exchange, read_to_end, request_bytes, steady

Chunks = list[bytes]


def play(mock: MockServer, dialect: str, prompt: str, *headers: str) -> Answer:
    return exchange(mock.url, request_bytes(dialect, prompt, headers=("Connection: close", *headers)))


def clean_and_faulty(mock: MockServer, dialect: str, spec: str, *headers: str, more: str = "") -> tuple[Answer, Answer]:
    """Both with the same seed and text, and prompts of four words, which the usage counts."""
    text = FAULTS[re.split("[:@,]", spec)[0]].text or "ascii"
    clean = play(mock, dialect, f"one [[mock seed=5{more} text={text}]]", *headers)
    faulty = play(mock, dialect, f"[[mock seed=5{more} text={text} fault={spec}]]", *headers)
    assert (clean.end, clean.whole) == ("fin", True)
    return clean, faulty


def steady_chunks(answer: Answer) -> Chunks:
    return [steady(chunk) for chunk in answer.chunks]


def steady_head(answer: Answer) -> list[str]:
    return steady("\n".join(answer.head).encode()).decode().split("\n")


def raw_and_writes(mock: MockServer, stream_id: str, directive: str) -> tuple[bytes, str, dict]:
    """The bytes of an answer as they came, how they ended, and the ledger's writes."""
    with connect(mock.url) as client:
        client.sendall(request_bytes("event-json", f"[[mock id={stream_id} seed=5 {directive}]]"))
        raw, end = read_to_end(client)
    streams = HTTP.get(f"{mock.url}/_mock/streams/{stream_id}", params={"wait": 5}).json()["streams"]
    # The request id differs; its length must stay, because faults count bytes.
    return re.sub(rb"req_[0-9a-f]{24}", b"req_" + b"0" * 24, raw), end, streams[-1]["writes"]
