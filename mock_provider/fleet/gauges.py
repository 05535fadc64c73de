"""The status pages of an engine: they tell the truth about the fleet, or lie as those of real engines do."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal

from streamgauge.mock_provider.fleet.engines import ENGINES, RESETS
from streamgauge.mock_provider.fleet.fleet import Fleet
from streamgauge.mock_provider.fleet.snapshot import Snapshot, snapshot, together
from streamgauge.mock_provider.http import Reply, json_reply

Engine = Literal["vllm", "sglang", "llama.cpp", "tgi", "trtllm", "dynamo", "kestrel"]
Lie = Literal[
    "stale",
    "frozen",
    "running-only",
    "zero",
    "missing",
    "no-aborts",
    "double-decrement",
    "per-engine",
    "one-replica",
]
LIES: Final[dict[Lie, str]] = {
    "stale": "each scrape shows the state at the scrape before it",
    "frozen": "when the last stream ends, one running stays in the gauges (vllm#22545, vllm#29928)",
    "running-only": "no request ever waits",
    "zero": "nothing ever runs or waits; counters go on",
    "missing": "503 while a request waits",
    "no-aborts": "the counter of aborts stays 0 (vllm#31503)",
    "double-decrement": "a client that leaves early is subtracted twice, so gauges go below 0 (vllm#44725)",
    "per-engine": "a series for each replica, where a reader may expect one",
    "one-replica": "each scrape shows another replica, as behind a load balancer",
}


class Gauges:
    """Answers the status pages of `engine`; `lies` may be combined."""

    def __init__(self, fleet: Fleet, engine: Engine, lies: Sequence[Lie], model: str) -> None:
        self._fleet, self._lies, self._model = fleet, frozenset(lies), model
        self._pages, self._resets = ENGINES[engine], RESETS.get(engine, {})
        self._start = self._truth()
        self._before: dict[str, Sequence[Snapshot]] = {}  # by page, for `stale`
        self._scrapes = 0

    @property
    def methods(self) -> Mapping[str, tuple[str, ...]]:
        """The paths of the status pages, and the methods of each."""
        return {**dict.fromkeys(self._pages, ("GET",)), **dict.fromkeys(self._resets, ("POST",))}

    def answer(self, path: str) -> Reply:
        """The status page at `path`, or the answer to a reset of the prefix cache."""
        if path in self._resets:
            return self._resets[path](self._forget_prefixes())
        lies = self._lies
        truth = self._truth()
        if "missing" in lies and any(each.waiting for each in truth):
            return json_reply(503, {"error": {"message": "the engine is busy"}})
        if "stale" in lies:
            truth, self._before[path] = self._before.get(path, self._start), truth
        engines = [self._distorted(each) for each in truth]
        self._scrapes += 1
        if "one-replica" in lies:
            engines = [engines[self._scrapes % len(engines)]]
        elif "per-engine" not in lies:
            engines = [together(engines)]
        return self._pages[path](engines)

    def _forget_prefixes(self) -> bool:
        """Whether the caches were emptied: real engines refuse while a request runs."""
        if self._fleet.connections:
            return False
        for replica in self._fleet.replicas:
            if replica.cache is not None:
                replica.cache.clear()
        return True

    def _truth(self) -> Sequence[Snapshot]:
        return [snapshot(replica, self._model) for replica in self._fleet.replicas]

    def _distorted(self, truth: Snapshot) -> Snapshot:
        """The snapshot of one replica with the lies about its numbers."""
        lies = self._lies
        if "frozen" in lies and not truth.running and truth.completed + truth.aborted:
            truth = replace(truth, running=1)
        if "running-only" in lies:
            truth = replace(truth, waiting=0)
        if "zero" in lies:
            truth = replace(truth, running=0, waiting=0, held_tokens=0, kv_share=0.0, slots=(None,) * len(truth.slots))
        if "no-aborts" in lies:
            truth = replace(truth, aborted=0)
        if "double-decrement" in lies:
            truth = replace(truth, running=truth.running - truth.aborted)
        return truth
