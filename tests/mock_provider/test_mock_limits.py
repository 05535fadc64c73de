"""Limits of input, output and users; streams that are taken up again; a text that tells streams apart."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.quota import MINUTE_NS, MOST_USERS, Quota
from streamgauge.mock_provider.server import PROMPT_LIMIT
from tests.mock_provider.mock_wire import HTTP

CHAT, TOKEN_DONE = "/v1/chat/completions", "/api/chat/stream"


def mock(**settings: Any) -> MockServer:
    return MockServer(MockConfig(**{"tokens": 8, "ttft": "0", "itl": "0", **settings}))


def ask(server: MockServer, prompt: str = "hi", *, key: str = "a", last_id: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"} | ({"Last-Event-ID": last_id} if last_id is not None else {})
    return HTTP.post(server.url + TOKEN_DONE, json={"message": prompt}, headers=headers)


def said(response: httpx.Response) -> str:
    """All tokens, joined."""
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return "".join(httpx.Response(200, text=line).json()["token"] for line in lines)


def ids(response: httpx.Response) -> list[str]:
    return [line.removeprefix("id: ") for line in response.text.splitlines() if line.startswith("id: ")]


def test_a_quota_counts_each_user_for_itself() -> None:
    quota = Quota(streams=1, requests=None)
    assert [quota.admit("a", 0), quota.admit("a", 0), quota.admit("b", 0)] == [True, False, True]
    quota.leave("a")
    assert quota.admit("a", 0)


def test_a_quota_counts_the_requests_of_the_last_minute() -> None:
    quota = Quota(streams=None, requests=2)
    assert [quota.admit("a", at) for at in (0, 1, 2)] == [True, True, False]
    assert [quota.admit("a", at) for at in (MINUTE_NS, MINUTE_NS, MINUTE_NS + 1)] == [True, False, True]


def test_a_quota_remembers_a_bounded_number_of_users() -> None:
    quota = Quota(streams=1, requests=None)
    for number in range(MOST_USERS + 1):
        assert quota.admit(str(number), 0)
    assert quota.admit("0", 0)  # forgotten
    assert not quota.admit("5", 0)


def test_streams_and_requests_of_a_key_are_limited() -> None:
    with mock(key_rate=2) as server:
        answers = [ask(server, key=key) for key in ("a", "a", "a", "b")]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 200]
    assert answers[2].headers["retry-after"] == "1"


def test_a_stream_of_a_key_that_has_ended_counts_no_more() -> None:
    with mock(key_slots=1) as server:
        running = httpx.Client(
            base_url=server.url, headers={"Authorization": "Bearer a"}, verify=False, trust_env=False
        )
        with running, running.stream("POST", TOKEN_DONE, json={"message": "[[mock ttft=9s]]"}):
            # The head has come, so the stream is under way.
            assert [ask(server).status_code, ask(server, key="other").status_code] == [429, 200]
        for _ in range(200):
            if ask(server).status_code == 200:
                break
        else:
            pytest.fail("the slot was not given back")


@pytest.mark.parametrize(("fault", "status"), [("overload-status", 503), ("overload-status:500", 500)])
def test_what_is_said_instead_of_429(fault: str, status: int) -> None:
    with mock(key_rate=1, faults=(fault,)) as server:
        assert [ask(server).status_code for _ in range(2)] == [200, status]


@pytest.mark.parametrize(("faults", "status"), [((), 400), (("no-input-limit",), 200)])
def test_a_prompt_may_have_so_many_characters(faults: tuple[str, ...], status: int) -> None:
    with mock(faults=faults) as server:
        assert ask(server, "x" * PROMPT_LIMIT).status_code == 200
        assert ask(server, "x" * PROMPT_LIMIT + "[[mock id=long]]").status_code == status
        (entry,) = HTTP.get(f"{server.url}/_mock/streams/long").json()["streams"]
    assert entry["status"] == status


@pytest.mark.parametrize(("faults", "status"), [((), 414), (("no-input-limit",), 200)])
def test_a_url_may_have_so_many_bytes(faults: tuple[str, ...], status: int) -> None:
    with mock(faults=faults) as server, httpx.Client(verify=False, trust_env=False) as client:
        answers = [client.get(f"{server.url}{TOKEN_DONE}?message={'x' * size}") for size in (32_000, 33_000)]
    assert [answer.status_code for answer in answers] == [200, status]


@pytest.mark.parametrize(("faults", "tokens"), [((), 3), (("ignores-max-tokens",), 8)])
def test_the_length_that_the_request_allows(faults: tuple[str, ...], tokens: int) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3, "stream": False}
    with mock(faults=faults) as server:
        usage = HTTP.post(server.url + CHAT, json=body).json()["usage"]
    assert usage["completion_tokens"] == tokens


def test_a_text_of_the_streams_own_id() -> None:
    with mock() as server:
        assert said(ask(server, "[[mock id=k7 text=id tokens=3]]")) == " k7 k7 k7"


@pytest.mark.parametrize(("fault", "after"), [("resumable", 3), ("resume-gap", 4), ("ids", -1)])
def test_what_follows_an_id(fault: str, after: int) -> None:
    with mock(faults=(fault,)) as server:
        whole = ask(server, "[[mock id=w]]")
        rest = ask(server, "[[mock id=w]]", last_id=ids(whole)[3])
        entries = HTTP.get(f"{server.url}/_mock/streams/w").json()["streams"]
    assert ids(rest) == ids(whole)[after + 1 :]
    assert said(whole).endswith(said(rest))
    assert [entry["resumed"] for entry in entries] == [False, fault != "ids"]


@pytest.fixture(scope="module")
def resumable() -> Iterator[MockServer]:
    with mock(faults=("resumable",)) as server:
        yield server


@pytest.mark.parametrize("last_id", ["", "x", "7", "7-", "99999999-e3b0c442", "-1-e3b0c442"])
def test_an_id_that_was_never_given_starts_anew(resumable: MockServer, last_id: str) -> None:
    assert len(ids(ask(resumable, last_id=last_id))) == 8


@pytest.mark.parametrize(("fault", "status"), [("resumable", 404), ("resume-unscoped", 200)])
def test_an_id_of_another_user(fault: str, status: int) -> None:
    with mock(faults=(fault,)) as server:
        first = ask(server, key="a")
        assert ask(server, key="b", last_id=ids(first)[2]).status_code == status


def test_a_token_strays_between_streams_that_run_at_the_same_time() -> None:
    prompts = [f"[[mock id=k{number} text=id tokens=20 itl=5ms]]" for number in range(4)]
    with mock(faults=("crossed-streams",)) as server, ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda prompt: said(ask(server, prompt)), prompts))
        alone = said(ask(server, "[[mock id=alone text=id tokens=20]]"))
    assert any(set(text.split()) != {f"k{number}"} for number, text in enumerate(texts))
    assert set(alone.split()) == {"alone"}
