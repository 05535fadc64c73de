"""The figures of all rounds: medians, ratios between clients, and the file that keeps them between two runs."""

from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from tests.bench.clients.measuring import Figures
from tests.bench.clients.scenarios import SCENARIOS

FILE: Final = Path("build/bench/results.json")


class Case(msgspec.Struct):
    """One scenario at one number of streams: the figures of each client, round by round."""

    scenario: str
    streams: int
    date: str
    rounds: dict[str, list[Figures]] = {}

    def add(self, figures: Figures) -> None:
        self.rounds.setdefault(figures.client, []).append(figures)

    def of(self, client: str) -> Figures | None:
        """The medians of a client; None when it was not measured."""
        rounds = self.rounds.get(client)
        return medians(rounds) if rounds else None

    def ratio(self, client: str, to: str) -> float | None:
        """CPU per token of one client in those of another: the median over rounds, each measured side by side."""
        pairs = zip(self.rounds.get(client, []), self.rounds.get(to, []), strict=False)
        ratios = [ours.cpu_us / theirs.cpu_us for ours, theirs in pairs if theirs.cpu_us]
        return median(ratios) if ratios else None


def medians(rounds: list[Figures]) -> Figures:
    """Numbers become medians; texts are the different ones of all rounds."""
    fields = {}
    for name in Figures.__struct_fields__:
        values = [value for figures in rounds if (value := getattr(figures, name)) is not None]
        if not values or isinstance(values[0], str):
            fields[name] = " / ".join(dict.fromkeys(values)) or None
        else:
            fields[name] = type(values[0])(median(values))
    return Figures(**fields)


class Results(msgspec.Struct):
    """Every case that was measured, the newest of each."""

    cases: list[Case] = []

    def case(self, scenario: str, streams: int) -> Case | None:
        return next((case for case in self.cases if (case.scenario, case.streams) == (scenario, streams)), None)

    def replace(self, case: Case) -> None:
        """Keep a case in the place of an older one, in the order in which the scenarios are declared."""
        order = [scenario.name for scenario in SCENARIOS]
        others = [other for other in self.cases if (other.scenario, other.streams) != (case.scenario, case.streams)]
        self.cases = sorted([*others, case], key=lambda case: (order.index(case.scenario), case.streams))


def new_case(scenario: str, streams: int) -> Case:
    return Case(scenario, streams, datetime.now(UTC).isoformat(timespec="minutes"))


def load() -> Results:
    """The results so far; none when they were kept by another version of the bench."""
    try:
        return msgspec.json.decode(FILE.read_bytes(), type=Results)
    except (FileNotFoundError, msgspec.DecodeError):
        return Results()


def keep(results: Results) -> None:
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_bytes(msgspec.json.encode(results))
