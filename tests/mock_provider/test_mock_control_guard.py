"""Who may use the control API: programs on this machine and holders of the token; never a web page or a forwarder."""

import socket

import httpx
import pytest

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.control import Control
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.fleet.front import Front
from streamgauge.mock_provider.gates import GATES_LIMIT, Gates
from streamgauge.mock_provider.http import Reply, Request
from streamgauge.mock_provider.ledger import Ledger
from tests.mock_provider.mock_wire import HTTP, connect, exchange, read_to_end, read_until, request_bytes

JSON = {"content-type": "application/json"}
MUTATIONS = ("/_mock/reset", "/_mock/streams/x/release?upto=1", "/_mock/refuse?seconds=1", "/_mock/accept")


def status(
    target: str = "/_mock/clock",
    *,
    method: str = "GET",
    peer: str | None = "127.0.0.1",
    token: str | None = None,
    **headers: str,
) -> int:
    fields = {"host": "127.0.0.1:8080"} | {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request(method, target, "1.1", fields, b"", 0, 0, keep_alive=True)
    reply = Control(Ledger(1), Gates(), token, Front(MockConfig())).handle(request, peer)
    assert isinstance(reply, Reply)
    return reply.status


def test_only_this_machine_may_ask_without_a_token() -> None:
    assert [status(peer=peer) for peer in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", None)] == [200] * 5
    assert [status(peer=peer) for peer in ("192.0.2.7", "2001:db8::1", "::ffff:192.0.2.7", "somewhere", "")] == [
        403
    ] * 5


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:80", "localhost.:9", "127.0.0.1", "127.3.2.1:9", "[::1]:8080"]
)
def test_a_name_of_this_machine_is_answered(host: str) -> None:
    assert status(host=host, origin=f"http://{host}", sec_fetch_site="same-origin") == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "evil-localhost",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "0.0.0.0:8080",
        "[::]:8080",
        "192.0.2.7",
        "127.0.0.1:8080:80",
    ],
)
def test_a_name_that_dns_may_point_at_this_machine_is_refused(host: str) -> None:
    assert status(host=host) == 403
    # As a page would ask after DNS rebinding: the origin is its own.
    assert status(host=host, origin=f"http://{host}", sec_fetch_site="same-origin") == 403
    # The authority of an absolute target counts, not Host (RFC 9112 section 3.2.2).
    assert status(f"http://{host}/_mock/clock") == 403
    assert status("http://127.0.0.1:8080/_mock/clock", host=host) == 200


def test_the_name_does_not_count_on_a_unix_socket_or_with_the_token() -> None:
    assert status(host="mock", peer=None) == 200
    assert status(host="mock.internal", peer="192.0.2.7", token="t", authorization="Bearer t") == 200
    assert [status(token="t"), status(token="t", authorization="Bearer s")] == [401, 401]


@pytest.mark.parametrize("token", [None, "t"])
@pytest.mark.parametrize(
    "fields",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://localhost:8080"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "http://127.0.0.1:8080", "sec_fetch_site": "cross-site"},
    ],
)
def test_a_page_of_another_origin_is_refused(fields: dict[str, str], token: str | None) -> None:
    # Its token would be no better than the person's who holds it, so it does not help.
    assert status(token=token, authorization="Bearer t", **fields) == 403
    for target in MUTATIONS:
        assert status(target, method="POST", token=token, authorization="Bearer t", **JSON, **fields) == 403


@pytest.mark.parametrize(
    "name",
    [
        "via",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
        "true-client-ip",
        "cf-connecting-ip",
    ],
)
def test_a_forwarded_request_needs_the_token(name: str) -> None:
    assert status(**{name: "127.0.0.1"}) == 403
    assert status(**{name: "127.0.0.1"}, token="t", authorization="Bearer t") == 200


@pytest.mark.parametrize("token", [None, "t"])
@pytest.mark.parametrize(
    "media_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                   "text/plain; application/json", "application/jsonx", "application/json, text/plain"]
)  # fmt: skip
def test_what_a_form_could_send_changes_nothing(media_type: str | None, token: str | None) -> None:
    headers = {} if media_type is None else {"content-type": media_type}
    for target in MUTATIONS:
        assert status(target, method="POST", token=token, authorization="Bearer t", **headers) == 415


def test_json_changes_something_whatever_its_parameters() -> None:
    for media_type in ("application/json", "Application/JSON; charset=utf-8"):
        assert status("/_mock/reset", method="POST", content_type=media_type) == 200


@pytest.mark.parametrize(
    "target",
    [
        "//x/_mock/summary",
        "//_mock/summary",
        "/./_mock/summary",
        "/x/../_mock/summary",
        "/%5fmock/summary",
        "/_mock%2fsummary",
        "/_MOCK/summary",
        "\\_mock\\summary",
    ],
)
def test_no_other_spelling_of_the_path_leads_to_the_ledger(mock: MockServer, target: str) -> None:
    answer = exchange(mock.url, f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.status in (400, 404)
    assert b"tokens_written" not in answer.body


def test_a_page_cannot_reset_a_running_mock() -> None:
    with MockServer(MockConfig(tokens=1, ttft="0")) as server:
        exchange(server.url, request_bytes("raw-text", "[[mock id=kept]]"))
        reset = f"{server.url}/_mock/reset"
        answers = [
            HTTP.post(reset, data={"a": "b"}),
            HTTP.post(reset, content="{}", headers={"Content-Type": "text/plain"}),
            HTTP.post(reset, json={}, headers={"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}),
            HTTP.post(reset, json={}, headers={"Host": "evil.example"}),
            HTTP.options(reset, headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}),
        ]
        kept = HTTP.get(f"{server.url}/_mock/streams/kept")
        assert HTTP.post(reset, json={}).json() == {"schema": 1, "reset": True}
    assert [answer.status_code for answer in answers] == [415, 415, 403, 403, 403]
    assert not any("access-control-allow-origin" in answer.headers for answer in answers)
    assert kept.status_code == 200


def own_address() -> str:
    """An address of this machine beyond loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses the address
        except OSError:
            pytest.skip("this machine has no address beyond loopback")
        return str(probe.getsockname()[0])


@pytest.mark.parametrize("token", [None, "t"])
def test_beyond_loopback_nothing_but_the_token_opens_it(token: str | None) -> None:
    with MockServer(MockConfig(host="0.0.0.0", control_token=token)) as server:
        port = httpx.URL(server.url).port
        url = f"http://{own_address()}:{port}/_mock/summary"
        refused = HTTP.get(url, headers={"Host": "127.0.0.1", "X-Forwarded-For": "127.0.0.1"})
        told = HTTP.get(url, headers={"Authorization": "Bearer t"})
    assert refused.status_code == (403 if token is None else 401)
    assert told.status_code == (403 if token is None else 200)


def test_a_mutation_that_is_pipelined_behind_a_page_s_request_is_refused_as_well(mock: MockServer) -> None:
    page = b"POST /_mock/reset HTTP/1.1\r\nHost: %b\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}"
    with connect(mock.url) as client:
        client.sendall(page % b"127.0.0.1" * 2)
        data = read_until(client, b"415 Unsupported")
        raw, _ = read_to_end(client, data, silence_s=0.1)
    assert raw.count(b"HTTP/1.1 415 ") == 2


@pytest.mark.parametrize("name", ["control_token", "api_key"])
def test_an_empty_secret_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="at least one character"):
        MockConfig(**{name: ""})


def test_remembered_releases_are_bounded() -> None:
    gates = Gates()
    for n in range(GATES_LIMIT + 5):
        gates.release(f"s{n}", 1)
    assert gates.get("s0").released == 0
    assert gates.get(f"s{GATES_LIMIT}").released == 1
