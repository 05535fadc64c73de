"""fidelity.saved-*: whether an application saves of a stream what its user saw, and tells a whole one from a part."""

import json
from collections.abc import Iterator
from typing import Any, Final

from streamgauge.conformance.cases import Case, Observed
from streamgauge.conformance.checks.errors import joined
from streamgauge.conformance.finding import Finding, inconclusive, met, unmet, worst
from streamgauge.conformance.permissions import MOCK
from streamgauge.conformance.registry import whole_case
from streamgauge.conformance.requirement import MUST, SHOULD, Basis, Requirement, Severity
from streamgauge.conformance.scenarios.saved import WHOLE
from streamgauge.conformance.sources import guides

RIGHT_STATE: Final = "--state-url with the URL that shows the messages of this caller"
_LONGEST_FLAG: Final = 24  # characters of a word such as "completed"


def reads_state(case: Case) -> str | None:
    return None if case.reads_state else "no --state-url was given"


def _begin(seen: Observed) -> str:
    return (seen.expected_text or "").partition(" ")[0]


def _end(seen: Observed) -> str:
    return (seen.expected_text or "").rpartition(" ")[2]


@whole_case(
    Requirement(
        "fidelity.saved-whole",
        MUST,
        Severity.HIGH,
        Basis.OPS,
        "An answer that ended whole is saved whole, and once.",
        references=(guides("no silent truncation"),),
        breaks="A user who comes back finds half of the answer, or none of it.",
        fix="Save the collected text after the last update, and finish saving even when the client has left.",
    ),
    scenarios=("saved",),
    applies=reads_state,
    expected="the beginning and the end of the answer in the state",
)
def saved_whole(case: Case) -> Finding:
    seen = next((one for one in case.of(("saved",)) if one.variant == WHOLE), None)
    if seen is None:
        return inconclusive("no stream was read", MOCK)
    if doubt := joined(seen):
        return doubt
    if _end(seen) not in seen.transcript.text:
        return inconclusive(f"the whole answer did not reach the client: {seen.how_it_went()}", MOCK)
    state = seen.state or ""
    begins, ends = _begin(seen) in state, _end(seen) in state
    if begins and ends:
        times = _times(_json(state), _begin(seen))
        if times > 1:
            return unmet(f"the answer is saved {times} times", seen.note(f"{times} items of one list hold it"))
        return met("the whole answer is saved")
    if begins or ends:
        lost = "the end" if begins else "the beginning"
        return unmet(f"{lost} of the answer is not saved", seen.note(f"{len(state):,} characters of state"))
    if _question(seen) in state:
        return unmet("the question is saved, its answer is not", seen.note(f"{len(state):,} characters of state"))
    return inconclusive("the state has nothing of the conversation", RIGHT_STATE)


def _json(state: str) -> Any:
    try:
        return json.loads(state)
    except (ValueError, RecursionError):
        return None


def _times(value: Any, mark: str) -> int:
    """How many items of one list hold a text with the mark directly; one that is also shown elsewhere counts once."""
    if isinstance(value, dict):
        return max((_times(item, mark) for item in value.values()), default=0)
    if not isinstance(value, list):
        return 0
    held = sum(
        isinstance(item, dict) and any(isinstance(text, str) and mark in text for text in item.values())
        for item in value
    )
    return max(held, *(_times(item, mark) for item in value), 0)


def _question(seen: Observed) -> str:
    """The id in the prompt, which is in no other."""
    return seen.prompt.rpartition("[[mock ")[2].partition(" ")[0] or "\0"


@whole_case(
    Requirement(
        "fidelity.saved-part-marked",
        SHOULD,
        Severity.MEDIUM,
        Basis.OPS,
        "A part of an answer (cut, failed, left by its reader) is not saved as if it were whole.",
        references=(guides("no silent truncation"),),
        breaks="The next turn of the conversation builds on half a sentence, and nobody can tell why.",
        fix="Save the part with a field that says how the answer ended, or do not save it.",
    ),
    scenarios=("saved",),
    applies=reads_state,
    expected="no part of it, or a field that differs from that of a whole answer",
)
def saved_part_marked(case: Case) -> Finding:
    seen = {one.variant: one for one in case.of(("saved",))}
    whole = seen.pop(WHOLE, None)
    if whole is None or (usual := _entry(whole)) is None:
        return inconclusive("the state of a whole answer is not JSON that holds it", RIGHT_STATE)
    found = [_part(one, usual) for one in seen.values() if one.upstream is not None]
    return worst(found, inconclusive("no stream was broken or left", MOCK))


def _part(seen: Observed, usual: dict[str, Any]) -> Finding:
    state = seen.state or ""
    if _begin(seen) not in state:
        return met(f"{seen.variant}: nothing of the answer is saved")
    if _end(seen) in state:
        return met(f"{seen.variant}: the whole answer is saved")
    entry = _entry(seen)
    if entry is None:
        return inconclusive(f"{seen.variant}: the state is not JSON that holds the part", RIGHT_STATE)
    if _flags(entry) != _flags(usual):
        return met(f"{seen.variant}: a part is saved, and marked")
    return unmet(f"{seen.variant}: a part is saved like a whole answer", seen.note(f"fields: {', '.join(entry)}"))


def _entry(seen: Observed) -> dict[str, Any] | None:
    """The innermost object of the state that holds the answer's beginning."""
    return next(_holders(_json(seen.state or ""), _begin(seen)), None)


def _holders(value: Any, mark: str) -> Iterator[dict[str, Any]]:
    """The objects that hold a text with the mark, the innermost first."""
    if isinstance(value, list):
        for item in value:
            yield from _holders(item, mark)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _holders(item, mark)
        if any(isinstance(item, str) and mark in item for item in value.values()):
            yield value


def _flags(entry: dict[str, Any]) -> dict[str, Any]:
    """The fields that could tell how the answer ended: not numbers, times, ids and texts."""
    return {
        name: item if item is None or isinstance(item, bool) or _is_word(item) else type(item).__name__
        for name, item in entry.items()
    }


def _is_word(item: Any) -> bool:
    return isinstance(item, str) and len(item) <= _LONGEST_FLAG and not any(char.isdigit() for char in item)
