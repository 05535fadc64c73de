"""A finding shows what to paste into the products that are there."""

from collections.abc import Mapping
from functools import cache

import pytest

from streamgauge.conformance.cases import Release
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.registry import Check
from streamgauge.conformance.result import CheckResult
from streamgauge.diagnosis.product import fixes_for
from tests.harness.conformance.examples import EXAMPLES, judged
from tests.harness.conformance.tapes import Example, Tape, Verdict, headers

# Something on the path does hold tokens back, so that the header is missed behind nginx as well.
HELD = Tape(scenario="lockstep", body=b"data: x\n\n", steps=(Release(1, 0, True),))


def products_shown(**given: str) -> set[str]:
    """The products whose fixes a finding has, with these headers."""
    tape = Tape(body=b"data: x\n\n", headers=headers(x_accel_buffering=None, **given))
    (result,) = judge_case(Example("", Verdict.WARN, (tape, HELD)).case(), [CHECKS["headers.x-accel-buffering"]])
    assert result.verdict is Verdict.WARN
    return set(result.fixes)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"server": "Kestrel"}, {"aspnet"}),
        ({"server": "nginx/1.27.0"}, {"nginx", "aspnet", "node", "python", "go"}),  # it hides the application's name
        ({"server": "nginx", "x_powered_by": "ASP.NET"}, {"nginx", "aspnet"}),
        ({"server": "uvicorn"}, {"python"}),
        ({"server": "Microsoft-IIS/10.0", "x_powered_by": "Express"}, {"node"}),  # IIS has no fix of its own here
    ],
)
def test_fixes_are_those_of_the_products_that_the_headers_name(given: dict[str, str], shown: set[str]) -> None:
    assert products_shown(**given) == shown


def test_a_profile_that_names_a_product_counts_too() -> None:
    tape = Tape(body=b"data: x\n\n", headers=headers(x_accel_buffering=None, server="nginx"))
    case = Example("", Verdict.WARN, (tape,), {"profile": "aspnet"}).case()
    (result,) = judge_case(case, [CHECKS["headers.x-accel-buffering"]])

    assert set(result.fixes) == {"aspnet", "nginx"}


@pytest.mark.parametrize("given", [{}, {"server": "unheard-of"}, {"server": ""}])
def test_where_no_product_is_known_all_fixes_are_shown(given: dict[str, str]) -> None:
    assert products_shown(**given) == set(fixes_for("headers.x-accel-buffering"))


CAUSES = [(check, cause) for check in CHECKS.values() for cause in check.requirement.causes]
LITTLE = {"no", "not", "with", "after", "key", "value", "string", "last"}


@cache
def results_by_cause() -> Mapping[tuple[str, str], CheckResult]:
    """Not made on import: each worker of pytest would judge all examples, and one of them runs these tests."""
    results = [(example.check, judged(example)[1]) for example in EXAMPLES]
    return {(check, result.cause): result for check, result in results if result.cause is not None}


@pytest.mark.parametrize(("check", "cause"), CAUSES, ids=lambda value: getattr(value, "id", value))
def test_the_fix_of_a_cause_names_it(check: Check, cause: str) -> None:
    fix = check.requirement.fix_for(cause)
    words = [word for word in cause.split("-") if word not in LITTLE] or cause.split("-")

    assert fix != check.requirement.fix
    assert any(word.rstrip("d") in fix.lower() for word in words), fix


@pytest.mark.parametrize(("check", "cause"), CAUSES, ids=lambda value: getattr(value, "id", value))
def test_a_tape_shows_each_cause_and_gets_its_fix(check: Check, cause: str) -> None:
    result = results_by_cause()[check.id, cause]

    assert result.fix == check.requirement.causes[cause]
    assert result.fixes.items() <= fixes_for(f"{check.id}:{cause}").items()
    assert all(snippet.content in result.fixes.values() for snippet in result.snippets)


def test_a_missing_final_chunk_does_not_get_the_fix_for_an_empty_string() -> None:
    result = results_by_cause()["openai-chat.finish-reason", "missing"]

    assert "final chunk" in result.advice[0]
    assert not any("''" in line or '""' in line for line in result.advice)


def test_an_absent_role_does_not_get_the_fix_for_left_out_nulls() -> None:
    result = results_by_cause()["openai-chat.chunk-shape", "no-role"]

    assert "role" in result.advice[0]
    assert not any("exclude_none" in line for line in result.advice)
