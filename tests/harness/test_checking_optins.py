"""What takes waiting, load or a second user, against the embedded mock: each knob and fault flips its check."""

from typing import Any

import pytest

from harness import checking
from harness.client import StreamClient
from harness.conformance.optins import NOTHING, Allowed
from harness.conformance.registry import judge, select
from harness.conformance.result import CheckResult
from harness.plays.base import Pace
from harness.target import Target
from harness.truth import Mock
from harness.units import MS
from mock_provider.config import MockConfig
from mock_provider.embedded import MockServer

CHAT, TOKEN_DONE, JSON_STRING = "/v1/chat/completions", "/api/chat/stream", "/api/chat/stream?message=x"
DIALECTS = {CHAT: "openai-chat", TOKEN_DONE: "token-done", JSON_STRING: "json-string"}
# Heartbeats are expected every 0.3 s instead of 15 s, and everything that waits for them is as much shorter.
PACE = Pace(tokens=16, ttft="1ms", itl="1ms", heartbeat_s=0.3)


def results(path: str, patterns: list[str], allowed: Allowed = NOTHING, **config: Any) -> dict[str, CheckResult]:
    """What the checks say of a mock, by id."""
    settings: dict[str, Any] = {"tokens": 16, "ttft": "1ms", "itl": "1ms", **config}
    headers = {"Authorization": "Bearer first-user"}
    with MockServer(MockConfig(**settings)) as server, StreamClient() as client, Mock(server.url) as mock:
        target = Target(url=server.url + path, dialect=DIALECTS[path], headers=headers)
        case = checking.observe(client, target, select(patterns), mock=mock, allowed=allowed, pace=PACE)
    return {one.id: one for one in judge(case, select(patterns))}


def verdicts(path: str, patterns: list[str], allowed: Allowed = NOTHING, **config: Any) -> dict[str, str]:
    """The same, as words."""
    return {name: one.verdict.value for name, one in results(path, patterns, allowed, **config).items()}


QUIET = ["liveness.heartbeat-idle-15s", "liveness.heartbeat-before-first-token", "liveness.heartbeat-not-masking-stall"]


@pytest.mark.parametrize(
    ("heartbeat", "bound_ms", "expected"),
    [(None, 1100, ["fail", "fail", "not-applicable"]), ("80ms", 3700, ["pass", "pass", "fail"])],
)
def test_heartbeats_keep_a_silent_stream_alive_and_can_hide_a_dead_one(
    heartbeat: str | None, bound_ms: int, expected: list[str]
) -> None:
    """The mock sends them, or not; three long silences are waited through side by side."""
    found = verdicts(CHAT, QUIET, Allowed(long_ns=bound_ms * MS), heartbeat=heartbeat)

    assert found == dict(zip(QUIET, expected, strict=True))


def test_a_wait_that_is_bounded_too_short_says_so() -> None:
    """Not a pass: what --max-duration leaves is too little to judge."""
    found = results(CHAT, [QUIET[0]], Allowed(long_ns=200 * MS), heartbeat="80ms")

    assert found[QUIET[0]].verdict == "inconclusive"
    assert "--max-duration" in (found[QUIET[0]].needs or "")


def test_what_was_not_allowed_is_inconclusive_and_names_its_flag() -> None:
    """Nothing long is waited for without --long."""
    found = results(CHAT, QUIET)

    assert {(one.verdict.value, one.needs) for one in found.values()} == {("inconclusive", "--long")}
