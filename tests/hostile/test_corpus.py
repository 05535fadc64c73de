"""Every attack ends as it should: soon, with the right outcome, within the memory budget, and quoted in brief.

The commands themselves are measured by `make hostile`: here the same clients get small budgets, so that all attacks
take less than a minute.
"""

import time
from typing import Final

import pytest

from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.target import Target
from streamgauge.errors import OutOfMeans
from streamgauge.leaks import MOST_DETAIL_CHARS, MOST_NAME_CHARS
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord, record_of
from streamgauge.transport.memory import MOST_OVER, MemoryBudget
from streamgauge.units import MIB
from tests.hostile.attack import Attack, Family, attacks
from tests.hostile.server import HostileEndpoint

POOL: Final = MIB // 4
SHARE: Final = 5 * MIB // 4  # an event of a megabyte fits
KEPT_SHARE: Final = 6 * MIB  # a megabyte in one event is in memory five times
DEADLINE_S: Final = 2.0
IN_FLIGHT: Final = 24 * MIB  # what the kernel's buffers on both sides may hold beyond what was read


def target_of(endpoint: HostileEndpoint) -> Target:
    family = endpoint.attack.family
    timeout = "800ms" if endpoint.attack.every_s else "400ms"
    return Target(url=endpoint.url, http2=family is Family.HTTP2, insecure=family is Family.TLS, timeout=timeout)


def a_budget() -> MemoryBudget:
    return MemoryBudget(POOL, share_bytes=SHARE, kept_share_bytes=KEPT_SHARE)


def right(attack: Attack) -> frozenset[str]:
    """Of an attack without an end, the first limit decides: that of the answer, the small budget, which accuses nobody,
    or on a busy machine the time.
    """
    early = {Outcome.TIMEOUT, Outcome.STALLED, Outcome.CLIENT_LIMIT} if attack.repeat else set()
    return attack.outcomes | early


def bounded(record: StreamRecord) -> None:
    quoting = len("... (1,000,000 characters)")
    assert len(record.detail or "") <= MOST_DETAIL_CHARS + quoting
    assert len(record.finish_reason or "") <= MOST_NAME_CHARS + quoting


@pytest.mark.parametrize("name", attacks())
def test_a_stream_whose_wire_is_kept(name: str) -> None:
    """As probe and check read it."""
    attack, budget = attacks()[name], a_budget()
    with HostileEndpoint(attack) as endpoint:
        target = target_of(endpoint)
        with StreamClient.to(target, memory=budget) as client:
            request = client.prepare(target.request(), deadline=in_time())
            transcript = client.ask(request, dialect=target.reader())

            assert transcript.outcome in right(attack), transcript.detail
            assert budget.drawn <= MOST_OVER * POOL + 2 * MIB
            bounded(record_of(transcript, "id", url=target.masked_url))
    assert endpoint.most_sent <= IN_FLIGHT


@pytest.mark.parametrize("name", attacks())
def test_a_stream_that_is_only_recorded(name: str) -> None:
    """As load reads it."""
    attack, budget = attacks()[name], a_budget()
    with HostileEndpoint(attack) as endpoint:
        target = target_of(endpoint)
        with StreamClient.to(target, memory=budget) as client:
            spec = target.request()
            answer = client.fetch(client.prepare(spec, deadline=in_time()), target.reader())

            # One read of 64 KiB may hold 10,900 chunks of a byte, 120 bytes each once they are parsed.
            assert budget.drawn <= MOST_OVER * POOL + 2 * MIB
            record = answer.record("id", target.reader(), url=target.masked_url)
            assert record.outcome in right(attack), record.detail
            bounded(record)
    assert endpoint.most_sent <= IN_FLIGHT


def test_a_flood_that_only_the_memory_of_this_client_ends_accuses_nobody() -> None:
    with HostileEndpoint(attacks()["tokens_endless"]) as endpoint:
        target = target_of(endpoint)
        with (
            StreamClient.to(target, memory=MemoryBudget(POOL, kept_share_bytes=POOL)) as client,
            pytest.raises(OutOfMeans, match="no memory left for the rest of the answer") as raised,
        ):
            client.run(target.request(), dialect=target.reader())
    assert "says nothing about the endpoint" in (raised.value.hint or "")


def in_time() -> float:
    """When a request that is made now must be over."""
    return time.monotonic() + DEADLINE_S


def test_every_attack_says_what_it_does_and_which_outcomes_are_right() -> None:
    assert len(attacks()) >= 120
    for name, attack in attacks().items():
        assert attack.outcomes <= {str(outcome) for outcome in Outcome}, name
