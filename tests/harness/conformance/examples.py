"""Every tape with the verdict that its check must give, and the results: each example is judged once a process."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import tests.harness.conformance
from streamgauge.conformance.cases import Case
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.result import CheckResult
from tests.harness.conformance.tapes import Example

# Every module here whose name begins with tapes_; a new one is found by itself.
TAPES = tuple(
    import_module(f"{tests.harness.conformance.__name__}.{found.name}")
    for found in iter_modules(tests.harness.conformance.__path__)
    if found.name.startswith("tapes_")
)
EXAMPLES = [example for tapes in TAPES for example in tapes.examples.all]


def by_check(examples: Iterable[Example]) -> dict[str, list[Example]]:
    """The examples of each check. A test takes all of a check: a test for each example would cost 6,000 tests."""
    found: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        found[example.check].append(example)
    return found


def named(example: Example) -> str:
    """Names an example among those of its check, where one fails."""
    return f"{example.verdict}, number {_NUMBERS[id(example)]} of EXAMPLES"


def judge(example: Example, piece: int | None = None) -> tuple[Case, CheckResult]:
    """The tapes as the check reads them, and its result; `piece` cuts each body into reads of so many bytes."""
    case = example.case(piece)
    (result,) = judge_case(case, [CHECKS[example.check]])
    return case, result


@cache
def _judged(number: int) -> tuple[Case, CheckResult]:
    return judge(EXAMPLES[number])


_NUMBERS = {id(example): number for number, example in enumerate(EXAMPLES)}


def judged(example: Example) -> tuple[Case, CheckResult]:
    """The same of an example of EXAMPLES, judged once however many tests ask."""
    return _judged(_NUMBERS[id(example)])
