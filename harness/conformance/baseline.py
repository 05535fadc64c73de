"""The file of accepted findings: TOML that people can read and edit, with reasons."""

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

import msgspec

from streamgauge.conformance.gate import Accepted
from streamgauge.errors import UsageError
from streamgauge.files import read_file, replace_file
from streamgauge.protocol.typed import from_toml

_HEAD: Final = """\
# Findings that are known and accepted: they do not fail `streamgauge check --baseline`. An entry whose check is met
# now does, so that the list only shrinks. `--update-baseline` writes this file; a `reason` is kept.
"""
_HINT: Final = "it is TOML: [[accepted]] tables with check, and target, verdict (fail, warn) and reason where wanted"


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    accepted: list[Accepted] = []


def read_baseline(path: Path, known: Collection[str]) -> list[Accepted]:
    """The entries of a baseline. Raises UsageError if it cannot be read, or names a check that is not `known`."""
    try:
        entries = from_toml(read_file(path), _Document).accepted
    except OSError as error:
        raise UsageError(
            f"--baseline {path} cannot be read: {error.strerror}", "--update-baseline writes one"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--baseline {path} is not usable: {error}", _HINT) from None
    _refuse_unknown(path, (entry.check for entry in entries), known)
    return entries


def read_expected_failures(path: Path, known: Collection[str]) -> list[Accepted]:
    """The plain form of a baseline: ids, one a line, for every target. Raises UsageError as `read_baseline` does."""
    try:
        lines = read_file(path).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--expected-failures {path} cannot be read: {error}") from None
    ids = [text for line in lines if (text := line.partition("#")[0].strip())]
    _refuse_unknown(path, ids, known)
    return [Accepted(check=check) for check in ids]


def write_baseline(path: Path, entries: Iterable[Accepted]) -> None:
    """Replace a baseline, ordered so that a diff shows what changed. Raises UsageError when it cannot be written."""
    ordered = sorted(entries, key=lambda entry: (entry.target or "", entry.check))
    replace_file(path, "\n".join([_HEAD, *map(_table, ordered)]).encode())


def _table(entry: Accepted) -> str:
    fields = {"target": entry.target, "check": entry.check, "verdict": entry.verdict, "reason": entry.reason}
    # A JSON string is a TOML string, except that TOML wants DEL escaped.
    lines = [
        f"{name} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
        for name, value in fields.items()
        if value is not None
    ]
    return "\n".join(["[[accepted]]", *lines, ""])


def _refuse_unknown(path: Path, ids: Iterable[str], known: Collection[str]) -> None:
    unknown = next((check for check in ids if check not in known), None)
    if unknown is not None:
        raise UsageError(
            f"{path} names an unknown check: {unknown!r}", "it was renamed or mistyped; check --list prints all"
        )
