"""What a server does with its fleet: it routes requests, names replicas, shows status pages, and takes changes."""

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from streamgauge.mock_provider.chat_request import ChatRequest
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.fleet.fleet import Fleet, Refuser
from streamgauge.mock_provider.fleet.gauges import Gauges
from streamgauge.mock_provider.fleet.prefix_cache import Prefix
from streamgauge.mock_provider.fleet.replica import Replica
from streamgauge.mock_provider.fleet.settings import FleetSettings
from streamgauge.mock_provider.http import Reply, Request
from streamgauge.mock_provider.options import changed
from streamgauge.mock_provider.received import conversation


class Front:
    """The fleet of a server, or nothing where no setting of the model differs from its default."""

    def __init__(self, config: MockConfig) -> None:
        self._config = config
        self._fleet: Fleet | None = None
        self._gauges: Gauges | None = None
        self._apply(config)

    @property
    def settings(self) -> FleetSettings:
        """The present settings."""
        return self._config.fleet

    @property
    def pages(self) -> Mapping[str, tuple[str, ...]]:
        """The paths of the engine's status pages, and the methods of each."""
        return self._gauges.methods if self._gauges is not None else {}

    def page(self, path: str) -> Reply:
        """The answer of a status page; KeyError for another path than those of `pages`."""
        if self._gauges is None:
            raise KeyError(path)
        return self._gauges.answer(path)

    def route(self, request: Request, ordinal: int) -> Replica | None:
        """The replica that gets the request; None without a fleet."""
        if self._fleet is None:
            return None
        return self._fleet.route(ordinal, request.headers.get(self.settings.sticky_header.lower()))

    def headers(self, replica: Replica) -> tuple[tuple[str, str], ...]:
        """The field that names the replica, if there are several."""
        if self._fleet is None or len(self._fleet.replicas) == 1:
            return ()
        return ((self.settings.replica_header, replica.name),)

    def refuser(self, replica: Replica) -> Refuser | None:
        """Who refuses a request that was routed to `replica`; None: it has a place."""
        return None if self._fleet is None else self._fleet.refuses(replica)

    def prefix(self, replica: Replica, request: Request, chat: ChatRequest) -> Prefix | None:
        """The whole conversation as the replica's prefix cache sees it; None without a cache."""
        if replica.cache is None:
            return None
        return replica.cache.find(conversation(request) or (chat.prompt,))

    def state(self) -> dict[str, Any]:
        """The settings, and the truth about every replica."""
        replicas = self._fleet.state() if self._fleet is not None else {"refused": 0, "replicas": []}
        return {"settings": asdict(self.settings), **replicas}

    def configure(self, values: Mapping[str, str]) -> None:
        """Change settings of the fleet, written as on the command line.

        ValueError if one is wrong; then none is changed. Running streams go on; those that wait get the new slots.
        """
        self._apply(replace(self._config, fleet=changed(self.settings, values)))

    def _apply(self, config: MockConfig) -> None:
        pages_changed = self._gauges is None or _pages(config) != _pages(self._config)
        self._config = config
        if self._fleet is not None:
            self._fleet.configure(config.fleet_limits())
        elif config.models_fleet:
            self._fleet = Fleet(config.fleet_limits(), time.time_ns, config.seed)
        engine = config.fleet.engine
        if self._fleet is None or engine is None:
            self._gauges = None
        elif pages_changed:
            model = (config.models or ("mock-1",))[0]
            self._gauges = Gauges(self._fleet, engine, config.fleet.gauge_lie, model)


def _pages(config: MockConfig) -> tuple[Any, ...]:
    return config.fleet.engine, config.fleet.gauge_lie
