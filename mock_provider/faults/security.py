"""Leaks: secrets in errors, text of other users, and answers to pages of any origin."""

from collections.abc import Iterator

from streamgauge.mock_provider.faults.base import Arg, Facts, Fault, middle
from streamgauge.mock_provider.faults.errors import ERROR, error_after
from streamgauge.mock_provider.stream import Head, Item

CANARY = "sk-canary-5f3a9c1e7b2d4860"
SECRET = f"401 from https://llm.internal.example/v1: Incorrect API key provided: {CANARY}"
STACK_TRACE = (
    "System.Net.Http.HttpRequestException: Connection refused (llm.internal.example:443)\n"
    "   at System.Net.Http.HttpConnectionPool.ConnectAsync()\n"
    "   at Relay.ChatService.StreamAsync() in /src/Relay/ChatService.cs:line 42"
)


def _secret(source: Iterator[Item], arg: Arg, facts: Facts) -> Iterator[Item]:
    return error_after(source, arg, facts, SECRET)


def _stack_trace(source: Iterator[Item], arg: Arg, facts: Facts) -> Iterator[Item]:
    return error_after(source, arg, facts, STACK_TRACE)


def _cors(head: Head, _arg: Arg, facts: Facts) -> None:
    if facts.origin is not None and facts.origin.isprintable():
        head.headers.append(("Access-Control-Allow-Origin", facts.origin))
        head.headers.append(("Access-Control-Allow-Credentials", "true"))


class _Shared:
    """The newest token of all running streams, as in an application that shares an object between requests."""

    latest: tuple[object, str] | None = None


def _crossed(source: Iterator[Item], _arg: Arg, facts: Facts) -> Iterator[Item]:
    struck, strayed, own = middle(facts.tokens), False, object()
    try:
        for item in source:
            latest = _Shared.latest
            if item.token is None:
                yield item
                continue
            _Shared.latest = (own, item.text)
            if not strayed and latest is not None and latest[0] is not own and item.token >= struck:
                yield item._replace(text=latest[1])
                strayed = True
            else:
                yield item
    finally:
        if _Shared.latest is not None and _Shared.latest[0] is own:
            _Shared.latest = None


FAULTS = (
    Fault(
        name="secret-in-error",
        sentence="after COUNT tokens (default half) comes an error that quotes an API key and an internal URL",
        level="security",
        trips=("security.no-secret-leak", "security.no-raw-provider-error", "termination.explicit-end"),
        needs=ERROR,
        takes="count",
        items=_secret,
    ),
    Fault(
        name="stack-trace",
        sentence="after COUNT tokens (default half) comes an error that quotes a stack trace",
        level="security",
        trips=("security.no-stack-trace", "security.no-raw-provider-error", "termination.explicit-end"),
        needs=ERROR,
        takes="count",
        items=_stack_trace,
    ),
    Fault(
        name="crossed-streams",
        sentence="the second half contains one token of another stream that runs at the same time",
        level="security",
        trips=("limits.parallel-isolation",),
        items=_crossed,
    ),
    Fault(
        name="cors-wild",
        sentence="every Origin is allowed, with credentials",
        level="security",
        trips=("security.cors-no-wildcard-credentials",),
        head=_cors,
    ),
)
