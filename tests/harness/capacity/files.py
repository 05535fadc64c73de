"""`capacity.json` of simulated searches, for tests of what is made of it."""

from typing import Any

from streamgauge.capacity.answer import answer
from streamgauge.capacity.budget import spent
from streamgauge.capacity.file import CapacityFile
from streamgauge.capacity.fleet import FleetRequest, fleet_of
from streamgauge.capacity.objective import objectives
from streamgauge.capacity.search import SearchPlan
from streamgauge.rundir.runs import Machine
from tests.harness.capacity.settings import SETTINGS
from tests.harness.capacity.simulated import Client, able, searched


def simulated(name: str, run: int = 0, client: Client = able, **given: Any) -> CapacityFile:
    """A search on one of the simulated endpoints."""
    setting = SETTINGS[name]
    found = objectives(setting.slos)
    plan = SearchPlan(seed=run + 1, seconds=5, longest_s=40, from_above=False, confirm_rate=False)
    search = searched(setting.system, found, run, plan, client)
    return CapacityFile(
        target="http://127.0.0.1:9000/v1/chat/completions",
        started="2026-01-01T00:00:00+00:00",
        ended="2026-01-01T00:10:00+00:00",
        settings={"plan": {"precision": 0.05, "seed": run + 1}, "processes": 1, "nonce": True},
        objectives=[str(objective) for objective in found],
        confidence=0.95,
        machine=Machine("Linux 6", "3.11", 4),
        answer=answer(search),
        fleet=fleet_of(search, FleetRequest(users=100)),
        spent=spent(search.points),
        points=search.points,
        **given,
    )
