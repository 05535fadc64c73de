"""Who may use the control API without a token."""

from streamgauge.mock_provider.control import Control
from streamgauge.mock_provider.gates import GATES_LIMIT, Gates
from streamgauge.mock_provider.http import Reply, Request
from streamgauge.mock_provider.ledger import Ledger


def ask(peer: str) -> int:
    request = Request(
        method="GET",
        target="/_mock/clock",
        http_version="1.1",
        headers={},
        body=b"",
        arrival_ns=0,
        arrival_monotonic_ns=0,
        keep_alive=True,
    )
    reply = Control(Ledger(1), Gates(), None).handle(request, peer)
    assert isinstance(reply, Reply)
    return reply.status


def test_only_this_machine_may_ask_without_a_token() -> None:
    assert [ask(peer) for peer in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1")] == [200] * 4
    assert [ask(peer) for peer in ("192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7", "somewhere")] == [403] * 4


def test_remembered_releases_are_bounded() -> None:
    gates = Gates()
    for n in range(GATES_LIMIT + 5):
        gates.release(f"s{n}", 1)
    assert gates.get("s0").released == 0
    assert gates.get(f"s{GATES_LIMIT}").released == 1
