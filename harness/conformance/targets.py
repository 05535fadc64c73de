"""The targets of `check`: a name, and what checks may assume about the endpoint. Also files with several targets."""

import os
import re
from pathlib import Path
from typing import Any, Final

import msgspec

from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_keys import keys_of, meant_by
from streamgauge.errors import UsageError
from streamgauge.files import read_file
from streamgauge.protocol.typed import from_value
from streamgauge.secrets import in_url, is_secret, learn

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LIST: Final = "target"


class CheckedTargetKeys(Target, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a target file: those of a target, its name in reports and baselines, and what checks may assume."""

    name: str | None = None
    public: bool = False
    profile: str | None = None


class CheckedTarget(CheckedTargetKeys, frozen=True, kw_only=True):
    """A target to check, and the file and line that declare it."""

    file: str | None = None
    line: int | None = None

    @property
    def label(self) -> str:
        """The target's name, else its URL."""
        return self.name or self.masked_url

    @property
    def names(self) -> tuple[str, ...]:
        """The names that a baseline may use for the target, the label first."""
        return tuple(dict.fromkeys((self.label, self.masked_url)))


def load_targets(path: Path) -> list[CheckedTarget]:
    """The targets of a file: one target at the top level, or [[target]] tables that share the keys above them.

    A header may use environment variables, as `${OPENAI_API_KEY}`; a header with a credential must.
    Raises UsageError with what is wrong in the file and which keys it may have.
    """
    try:
        text = read_file(path).decode()
        document: dict[str, Any] = msgspec.toml.decode(text)
    except OSError as error:
        raise UsageError(f"target file {path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"target file {path} is not usable: {error}", _hint()) from None
    tables = document.pop(_LIST, None)
    if tables is not None and (not isinstance(tables, list) or not tables):
        raise UsageError(f"target file {path}: {_LIST} is not a list of tables", "write [[target]] above each target")
    tables = tables or [{}]
    lines = _lines(text)
    if len(lines) != len(tables):
        lines = [1] * len(tables)
    subjects = [_subject(path, _merged(document, table), line) for table, line in zip(tables, lines, strict=True)]
    for subject in subjects:
        if sum(one.label == subject.label for one in subjects) > 1:
            raise UsageError(
                f"target file {path}: two targets are called {subject.label}", "give each a name of its own"
            )
    return subjects


def _subject(path: Path, table: dict[str, Any], line: int) -> CheckedTarget:
    where = f"target file {path}, line {line}"
    try:
        subject = from_value(table, CheckedTargetKeys)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {error}", meant_by(str(error), CheckedTargetKeys) or _hint()) from None
    if any(in_url(subject.url)):
        raise UsageError(f"{where}: the URL holds a secret", "name the variable that holds it with api_key_env")
    headers = {name: _filled(where, name, value) for name, value in subject.headers.items()}
    given = {field: getattr(subject, field) for field in subject.__struct_fields__}
    return CheckedTarget(**{**given, "headers": headers}, file=_from_here(path), line=line)


def _from_here(path: Path) -> str:
    """The file relative to the working directory, which in a CI is the repository."""
    here = Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def _merged(common: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A target's keys over the common ones; headers add up."""
    headers = [table["headers"] for table in (common, own) if isinstance(table.get("headers"), dict)]
    return {**common, **own, **({"headers": {**headers[0], **headers[1]}} if len(headers) == 2 else {})}


def _filled(where: str, name: str, value: str) -> str:
    """A header's value with its environment variables filled in."""
    if is_secret(name) and not _VARIABLE.search(value):
        raise UsageError(
            f"{where}: the header {name} looks like a secret, which must not be in a file",
            f'write {name} = "${{VARIABLE}}", which is taken from the environment',
        )
    missing = [variable for variable in _VARIABLE.findall(value) if not os.environ.get(variable)]
    if missing:
        raise UsageError(f"{where}: the environment variable {missing[0]} is not set", f"export it, or drop {name}")
    learn(os.environ[variable] for variable in _VARIABLE.findall(value) if is_secret(name) or is_secret(variable))
    return _VARIABLE.sub(lambda match: os.environ[match[1]], value)


def _lines(text: str) -> list[int]:
    """The line of each [[target]], for reports."""
    return [number for number, line in enumerate(text.splitlines(), 1) if re.match(rf"\s*\[\[\s*{_LIST}\s*\]\]", line)]


def _hint() -> str:
    return f"it is TOML with the keys: {', '.join(keys_of(CheckedTargetKeys))}; several targets are [[{_LIST}]] tables"
