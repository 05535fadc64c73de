"""The order of the whole suite's tests: the longest first, so that the run does not end with workers that wait for one.

`--dist worksteal` gives each worker of pytest a contiguous share of the tests, and moves tests from the ends of long
queues later. So the longest tests stand at the beginnings of the shares.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

LONGEST: Final = (
    "tests/e2e/test_foreign_folder.py::test_every_command_runs_beside_packages_of_the_same_names[editable]",
    "tests/harness/conformance/test_run.py::test_a_proxy_that_hears_no_client_leave",
    "tests/harness/conformance/clients/test_oracles.py::test_openai_dotnet",
    "tests/e2e/test_aspnet.py",
    "tests/test_docs_python.py::test_the_examples_run_in_their_order",
    "tests/e2e/test_cases.py::test_check_finds_the_fault_and_nothing_else[a stall behind comments]",
    "tests/e2e/test_cases.py::test_check_finds_the_fault_and_nothing_else[heartbeats for ever]",
    "tests/e2e/test_foreign_folder.py",  # the others of it: the worker that builds the wheel has all tests that need it
    "tests/harness/conformance/test_saved.py::test_what_an_application_saves",
    "tests/test_docs.py::test_the_actions_step_does_what_it_says",
    "tests/e2e/test_distributed.py::test_a_killed_remote_worker_is_named_with_the_gap",
    "tests/harness/test_doors.py::test_diagnose_names_the_hop_that_buffers",
)
"""What takes 15 s or more when six workers share two cores: tests, or beginnings of their names. The two that start the
most processes do not begin at the same time.
"""


def longest_first(tests: Sequence[T], workers: int, name_of: Callable[[T], str]) -> list[T]:
    """The tests, with the LONGEST dealt out to the beginnings of the workers' shares. The others keep their order."""
    groups: dict[str, list[T]] = {name: [] for name in LONGEST}
    others = []
    for test in tests:
        longest = next((name for name in LONGEST if name_of(test).startswith(name)), None)
        (others if longest is None else groups[longest]).append(test)
    shares: list[list[T]] = [[] for _ in range(workers)]
    for number, group in enumerate(filter(None, groups.values())):
        shares[number % workers] += group
    ordered: list[T] = []
    for number, share in enumerate(shares):
        # The size of a share is xdist's: an equal part of what the workers before it have left.
        size = (len(tests) - len(ordered)) // (workers - number)
        fill = max(size - len(share), 0)
        ordered += share + others[:fill]
        del others[:fill]
    return ordered + others
