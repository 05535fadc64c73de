"""Each fault of the mock against every check: those that it is made for object, and only listed companions with them.

The table of it is docs/check-faults.md.
"""

from collections import defaultdict
from collections.abc import Mapping
from functools import cache, partial

import pytest

from streamgauge.cli.reproduction import faults_of
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.result import Verdict
from streamgauge.conformance.run import observe
from streamgauge.conformance.scenarios.runner import Pace
from streamgauge.conformance.selection import select
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.mock_provider import dialects as mock_dialects
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.faults import FAULTS
from tests.builders.retries import count_retry
from tests.builders.shapes import FOUND, HURRIED, INHERENT, SECOND, SHAPES, UNMET, VENDOR_GROUPS, VENDORS, group_of
from tests.builders.together import side_by_side
from tools.check_faults import COMPANIONS, SHOWN_BY

ARGUMENTS = {
    "late-close": "late-close:1100ms", "stall": "stall@4", "rst-at": "rst-at:300", "write-every": "write-every:7",
}  # fmt: skip
# What these are about is silence; the others are given time, so that a busy machine is not taken for one.
SILENT = {"stall", "stall-quiet", "late-event", "silent", "no-answer", "late-close", "late-head", "half-close-hangs"}
# What takes waiting, or all scenarios, is shown in two shapes, one with an end marker and one without.
SLOW = SILENT | {
    "one-behind", "no-flush", "block", "content-length", "gzip-no-flush", "secret-in-error", "comment-heartbeats",
    "split-utf8-writes", "fragile", "drip", "no-retry-after",
}  # fmt: skip
TWO = ("token-done", "raw-text")
SPOKEN = {dialect.name: dialect for dialect in mock_dialects.DIALECTS}
# Without a fault, these look at what most of them would spoil.
LOOKED_AT = ("framing", "headers.content-type", "text.utf8-valid", "text.json-valid", "text.newline-roundtrip")
TRIES = 3
# It reads every scenario there is: what the others of its fault read is enough.
READS_ALL = {"headers.retry-after"}
# Told as information without any fault, too.
TOLD = {"cancel.half-close", "flush.burstiness"}
# Shapes beside their own, where the whole text is told at the end.
ALSO = {"swapped-events": ["openai-responses"], "content-after-terminal": ["openai-responses"]}
# What flows is told from what comes in bursts by time, so these take some.
FLOWING = {"no-flush", "block", "content-length"}


def shapes_of(name: str) -> list[str]:
    """Where a fault can be: the application shapes, and the vendors whose own checks it is for."""
    fault = FAULTS[name]
    groups = {check.partition(".")[0] for check in fault.trips}
    found = list(ALSO.get(name, []))
    for shape in SHAPES:
        spoken = SPOKEN[shape]
        if name in FLOWING and shape != TWO[0]:
            continue
        able = spoken.can_show(fault.needs)
        wanted = group_of(shape) in groups if shape in VENDORS else name not in SLOW or shape in TWO
        if able and wanted and shape not in found:
            found.append(shape)
    return found


def patterns_of(name: str, shape: str) -> list[str]:
    """The checks whose scenarios are played: those that the fault is for, where it has any in this shape."""
    own = group_of(shape) if shape in VENDORS else None
    wanted = [
        check
        for check in FAULTS[name].trips
        if (name, check) not in SHOWN_BY
        and check not in READS_ALL
        and (
            shape in ALSO.get(name, ()) or check.partition(".")[0] == own
            if own
            else check.partition(".")[0] not in VENDOR_GROUPS
        )
    ]
    if name == "drip":
        return ["flush.burstiness"]  # a long text would drip for minutes
    return wanted or list(LOOKED_AT)


def flipped(name: str, shape: str) -> set[str]:
    """What objects to a mock with this fault, and does not without it."""
    trips = set(FAULTS[name].trips)
    config = MockConfig(faults=(ARGUMENTS.get(name, name),), tokens=16, ttft="1ms", itl="1ms")
    with MockServer(config) as server, MockControl(server.url) as mock, StreamClient(
        read_timeout_s=0.7 if name in SILENT else 10.0
    ) as client:  # fmt: skip
        target = Target(url=server.url + SHAPES[shape], dialect=shape)
        case = observe(
            client,
            target,
            select(patterns_of(name, shape)),
            mock=mock,
            pace=Pace(step_timeout_s=0.3) if name in FLOWING else HURRIED,
        )
    results = judge_case(case, CHECKS.values())
    assert [(one.id, one.actual) for one in results if one.verdict is Verdict.ERROR] == []
    assert case.observed[0].streams is (FAULTS[name].streams or (name, shape) == ("html-200", "plain-text"))
    objecting = {one.id for one in results if one.verdict in (FOUND if one.id in trips - TOLD else UNMET)}
    return objecting - INHERENT.get(shape, set())


@cache
def made_visible() -> Mapping[str, frozenset[str]]:
    """By fault: the checks whose explanation says that this fault shows them."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for check in CHECKS.values():
        for fault in faults_of(check):
            found[fault.name].add(check.id)
    return {name: frozenset(found[name]) for name in FAULTS}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_flips_what_it_is_for_and_listed_companions_only(name: str) -> None:
    """In each shape. A busy machine can hide an objection or add one, so a shape gets TRIES tries, and each counts."""
    wanted = {check for check in FAULTS[name].trips if (name, check) not in SHOWN_BY}
    allowed = made_visible()[name] | COMPANIONS.get(name, frozenset())
    shapes = shapes_of(name)
    objected: set[str] = set()
    # By shape: the checks that objected in every try of it, and may not.
    excess: dict[str, set[str]] = {}
    unsettled = shapes
    for number in range(TRIES):
        if number:
            count_retry(f"missing: {sorted(wanted - objected)}, in excess: {excess}")
        # Three quarters of the time of a shape is waiting.
        for shape, found in zip(unsettled, side_by_side(partial(flipped, name), unsettled), strict=True):
            objected |= found
            excess[shape] = (found - allowed) & excess.get(shape, found)
        unsettled = shapes if wanted - objected else [shape for shape in shapes if excess[shape]]
        if not unsettled:
            break

    assert {shape: checks for shape, checks in excess.items() if checks} == {}
    assert wanted - objected == set()


OF_SECOND = [(name, shape) for shape in SECOND for name in FAULTS if shape in shapes_of(name)]


@pytest.mark.parametrize(("name", "shape"), OF_SECOND)
def test_a_fault_flips_the_checks_of_its_vendor_in_the_second_dialect_too(name: str, shape: str) -> None:
    """The test above is content with any shape. A busy machine can hide an objection, and never in each try."""
    wanted = {
        check
        for check in FAULTS[name].trips
        if check.startswith(f"{group_of(shape)}.") and (name, check) not in SHOWN_BY
    }
    objected: set[str] = set()
    for _ in range(TRIES):
        objected |= flipped(name, shape)
        if wanted <= objected:
            break
        count_retry(f"missing: {sorted(wanted - objected)}")

    assert wanted
    assert wanted - objected == set()


def test_every_fault_is_for_checks_that_exist_or_is_legal() -> None:
    legal = {name for name, fault in FAULTS.items() if not fault.trips}

    assert {check for fault in FAULTS.values() for check in fault.trips} <= CHECKS.keys()
    assert all("legal" in FAULTS[name].sentence for name in legal), legal
    assert COMPANIONS.keys() <= FAULTS.keys()


def test_what_is_shown_elsewhere_is_there(request: pytest.FixtureRequest) -> None:
    """The tests that the table points to exist, and name the fault."""
    for (name, _), place in SHOWN_BY.items():
        text = (request.config.rootpath / place).read_text(encoding="utf-8")
        assert f'"{name}' in text, (name, place)
