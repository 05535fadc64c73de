"""`streamgauge.check`: run the conformance checks of one endpoint from Python."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from streamgauge.conformance.batch import CheckOptions, measure
from streamgauge.conformance.permissions import NOTHING, Allowed
from streamgauge.conformance.registry import Check
from streamgauge.conformance.result import ChecksFile
from streamgauge.conformance.scenarios.cost import Budget
from streamgauge.conformance.scenarios.scheduler import Progress
from streamgauge.conformance.schema import PayloadSchema
from streamgauge.conformance.selection import select
from streamgauge.conformance.targets import CheckedTarget
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import as_target, check_url
from streamgauge.errors import UsageError
from streamgauge.files import read_file
from streamgauge.secrets import mask_url


def check(
    target: str | Target,
    *,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    via: str | None = None,
    schema: Path | Mapping[str, Any] | None = None,
    profile: str | None = None,
    public: bool = False,
    allowed: Allowed = NOTHING,
    clients: bool = False,
    max_tokens_spent: int | None = None,
    progress: Progress = lambda *_: None,
) -> ChecksFile:
    """Check an endpoint. The keywords are the options of `streamgauge check`; `progress` gets (doing, done, total).

    `only` and `skip` are globs of check ids or groups. `via` is the URL of a proxy in front of the endpoint: then each
    finding says whether the proxy causes it. `schema` is a JSON Schema for each payload, or the path of its file.
    Raises UsageError on invalid input, and CannotMeasure when no stream comes that could be judged.
    """
    options = CheckOptions(
        selected_checks(only, skip),
        allowed=allowed,
        clients=clients,
        schema=None if schema is None else payload_schema(schema),
        via=None if via is None else checked_via(via),
        budget=Budget(max_tokens_spent),
    )
    return measure(_checked(as_target(target), profile, public), options, progress)


def selected_checks(only: Iterable[str], skip: Iterable[str]) -> list[Check]:
    """The checks that the globs select. Raises UsageError when a glob matches no check, or no check is left."""
    selected = select(tuple(only), tuple(skip))
    if not selected:
        raise UsageError("--skip leaves no check to run", "--list prints them all")
    return selected


def checked_via(via: str) -> str:
    """The URL of the proxy, unchanged. Raises UsageError when it is not an HTTP URL."""
    if not re.match(r"https?://[^/]", via):
        raise UsageError(f"--via takes an http:// or https:// URL, got {mask_url(via)!r}", "the address of the proxy")
    check_url(via)
    return via


def payload_schema(schema: Path | Mapping[str, Any]) -> PayloadSchema:
    """The compiled schema. Raises UsageError on an unreadable file or an invalid schema."""
    if isinstance(schema, Mapping):
        return PayloadSchema(msgspec.json.encode(schema), "schema")
    try:
        return PayloadSchema(read_file(schema), f"--schema {schema}")
    except OSError as error:
        raise UsageError(f"--schema {schema} cannot be read: {error.strerror}") from None


def _checked(target: Target, profile: str | None, public: bool) -> CheckedTarget:
    subject = target if isinstance(target, CheckedTarget) else CheckedTarget(**msgspec.structs.asdict(target))
    return msgspec.structs.replace(subject, profile=profile or subject.profile, public=public or subject.public)
