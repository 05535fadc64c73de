"""`make new-check NAME=group.name`: the module of a check and its tapes, both to be filled in."""

import re
import sys
from pathlib import Path
from typing import Final

from streamgauge.conformance.groups import GROUPS

ROOT: Final = Path(__file__).resolve().parent.parent
CHECKS: Final = Path("harness/conformance/checks")
TAPES: Final = Path("tests/harness/conformance")
_NAME: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\.[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)

CHECK: Final = '''\
"""{id}: TODO why clients or people need it."""

from streamgauge.conformance.applies import sse
from streamgauge.conformance.cases import PLAIN, Case, Observed
from streamgauge.conformance.finding import Finding, inconclusive
from streamgauge.conformance.registry import per_stream
from streamgauge.conformance.requirement import SHOULD, Basis, Requirement, Severity


@per_stream(
    Requirement(
        "{id}",
        SHOULD,
        Severity.LOW,
        Basis.COMPAT,
        "TODO one sentence that says what must hold.",
        references=("TODO where it is written, and its address: https://",),
        fix="TODO how to fix it, whatever the product.",
    ),
    scenarios=PLAIN,
    applies=sse,
    expected="TODO what a good stream shows",
)
def {function}(_seen: Observed, _case: Case) -> Finding:
    # TODO Return met(...), or unmet(..., seen.at(offset)) with the place of the bytes that are wrong.
    return inconclusive("the check is not written", "write it")
'''

EXAMPLES: Final = '''\
"""Tapes of {id}: bodies that meet the requirement, and bodies that do not."""

from tests.harness.conformance.tapes import Examples

examples = Examples()
examples.bodies(
    "{id}",
    {{
        "pass": [b"data: TODO a body that meets it\\n\\n"],
        "warn": [b"data: TODO a body that does not\\n\\n"],
    }},
)
'''

NEXT: Final = """\
Now:
  1. Fill in every TODO. `make test T={tapes_folder} K={id}` passes when the tapes get their verdicts.
  2. Add a fault to mock_provider/faults/ whose `trips` names {id}, or the check's id to a fault that breaks it.
  3. Add the name to NAMES in tests/harness/conformance/test_catalogue.py, so that it is never lost or renamed.
  4. make docs
"""


def modules_of(check_id: str, root: Path = ROOT) -> dict[Path, str]:
    """The files of a new check and their text. Raises ValueError when the id is not usable."""
    group = check_id.partition(".")[0]
    if not _NAME.fullmatch(check_id) or group not in GROUPS:
        raise ValueError(
            f"expected group.name in lower case, such as framing.no-tabs, got {check_id!r}; groups: {', '.join(GROUPS)}"
        )
    stem = check_id.replace(".", "_").replace("-", "_")
    function = re.sub(r"^(?=\d)", "check_", check_id.partition(".")[2].replace("-", "_"))
    files = {
        root / CHECKS / f"{stem}.py": CHECK.format(id=check_id, function=function),
        root / TAPES / f"tapes_{stem}.py": EXAMPLES.format(id=check_id),
    }
    if taken := next((path for path in files if path.exists()), None):
        raise ValueError(f"{taken.relative_to(root)} exists already; choose another name")
    if any(f'"{check_id}"' in path.read_text(encoding="utf-8") for path in (root / CHECKS).glob("*.py")):
        raise ValueError(f"a check {check_id} exists already: streamgauge explain {check_id}")
    return files


def main(arguments: list[str]) -> int:
    """Write the files and say what comes next; the exit code."""
    try:
        files = modules_of(arguments[0] if arguments else "")
    except ValueError as error:
        print(f"error: {error}\nuse: make new-check NAME=group.name", file=sys.stderr)  # noqa: T201 - a command of make
        return 2
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
        print(f"written: {path.relative_to(ROOT)}")  # noqa: T201
    print(NEXT.format(id=arguments[0], tapes_folder=TAPES), end="")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
