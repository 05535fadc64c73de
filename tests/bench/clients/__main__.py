"""Measures clients in scenarios beside the mock, and prints the figures: `make bench`."""

# ruff: noqa: T201 (a script: printing is what it does)
import argparse
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator

from tests.bench.clients import page, processes, results
from tests.bench.clients.measuring import ClientEndedError, measure
from tests.bench.clients.programs import CLIENTS, Client
from tests.bench.clients.results import Results, new_case
from tests.bench.clients.scenarios import BY_NAME, SCENARIOS, Scenario

EXAMPLES = """\
examples:
  python -m tests.bench.clients                               everything, about 15 minutes
  python -m tests.bench.clients --list                        the scenarios, their sizes and their clients
  python -m tests.bench.clients aligned --streams 400 --clients streamgauge "C floor" --rounds 3
  python -m tests.bench.clients slow http2 --seconds 10
  python -m tests.bench.clients --write                       measure everything, then write docs/performance.md
  python -m tests.bench.clients starved --write               measure this again, and write the page with it
  python -m tests.bench.clients none --write                  write the page from the figures of earlier runs
"""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.clients", description=__doc__, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    names = [*BY_NAME, "none"]
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"{', '.join(names)} (default: all)")
    parser.add_argument("--streams", type=int, nargs="+", metavar="N", help="these numbers instead of the scenario's")
    parser.add_argument("--clients", nargs="+", metavar="NAME", help=f"of {', '.join(CLIENTS)}")
    parser.add_argument("--rounds", type=int, default=1, help="measure all clients in turn so often (default: 1)")
    parser.add_argument("--seconds", type=float, default=6, help="length of one measurement (default: 6)")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    parser.add_argument("--list", action="store_true", help="show the scenarios and end")
    given = parser.parse_args()
    for kind, known, chosen in (("scenario", names, given.scenarios), ("client", CLIENTS, given.clients or ())):
        for name in chosen:
            if name not in known:
                parser.error(f"there is no {kind} {name!r}; there are: {', '.join(known)}")
    return given


def _here(names: list[str]) -> list[Client]:
    """The clients that this machine has; a word about each of the others."""
    here = []
    for name in names:
        if reason := CLIENTS[name].missing():
            print(f"without {name}: {reason}")
        else:
            here.append(CLIENTS[name])
    return here


def _cases(scenarios: list[Scenario], given: argparse.Namespace) -> Iterator[tuple[Scenario, int, list[str]]]:
    for scenario in scenarios:
        for streams in given.streams or scenario.streams:
            names = given.clients or [name for name in scenario.clients if _reads(CLIENTS[name], streams)]
            yield scenario, streams, names


def _reads(client: Client, streams: int) -> bool:
    return client.most_streams is None or streams <= client.most_streams


def _measure(scenario: Scenario, streams: int, clients: list[Client], given: argparse.Namespace) -> results.Case:
    """Every client in turn, round after round. Each row is printed as soon as it is there."""
    case = new_case(scenario.name, streams)
    print(f"\n{scenario.name}, {streams:,} streams: {scenario.about}")
    print(page.line(page.TITLES))
    for _ in range(given.rounds):
        for client in clients:
            try:
                figures = measure(scenario, streams, client, given.seconds)
            except ClientEndedError as error:
                print(f"  ! {client.name} ended before it was measured, and is left out:\n{error}")
                continue
            case.add(figures)
            print(page.line(page.cells(figures, case)), flush=True)
    return case


def main() -> None:
    """Measure, keep the figures, print the goals."""
    given = _arguments()
    if given.list:
        for scenario in SCENARIOS:
            print(f"{scenario.name:<12} {scenario.about}")
            print(f"{'':<12} streams: {', '.join(map(str, scenario.streams))}; clients: {', '.join(scenario.clients)}")
        return
    if len(processes.CORES) < 2:
        raise SystemExit("the bench needs two cores: one for the mock, one for the client")
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that mock and client end too
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.sched_setaffinity(0, processes.CORES[:1])
    everything: Results = results.load()
    scenarios = [BY_NAME[name] for name in given.scenarios or BY_NAME if name in BY_NAME]
    cases = list(_cases(scenarios, given))
    here = {client.name: client for client in _here(list(dict.fromkeys(name for *_, names in cases for name in names)))}
    for scenario, streams, names in cases:
        everything.replace(_measure(scenario, streams, [here[name] for name in names if name in here], given))
        results.keep(everything)
    print("\nGoals, by the newest figures of each scenario:")
    print("\n".join(page.goal_lines(everything)))
    if given.write:
        page.PAGE.write_text(page.page(everything), encoding="utf-8")
        print(f"\nwritten: {page.PAGE}")
    print(f"\n{(time.monotonic() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
