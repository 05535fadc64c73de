"""The options of `check` that select the checks and the endpoint, and that say what to assume of the endpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from streamgauge.cli.check_list import Format, List, ListFormat
from streamgauge.conformance import profiles
from streamgauge.conformance.check import checked_via, selected_checks
from streamgauge.conformance.registry import Check
from streamgauge.conformance.targets import CheckedTarget
from streamgauge.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class SelectionOptions:
    """Which checks to run. The callbacks of the first two options print the list of checks and exit."""

    list_checks: List = False
    list_format: Format = ListFormat.TABLE
    only: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only checks whose id or group matches; repeatable.")
    ] = None
    skip: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Leave out the checks that match; repeatable.")
    ] = None

    def checks(self) -> list[Check]:
        """The selected checks. Raises UsageError when no check is left."""
        return selected_checks(self.only or (), self.skip or ())


@dataclass(frozen=True, kw_only=True)
class SubjectOptions:
    """What to check of each endpoint, and what to assume of it."""

    via: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Check the endpoint through the proxy at this URL, and without it: each finding says whether it is the"
            " proxy's or the endpoint's.",
        ),
    ] = None
    schema: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A JSON Schema that every payload must fit; or {'events': {NAME: SCHEMA}}, one for each event name.",
        ),
    ] = None
    public: Annotated[
        bool, typer.Option("--public/--no-public", help="The endpoint is meant to need no credentials.")
    ] = False
    state_url: Annotated[
        str | None,
        typer.Option(
            "--state-url",
            metavar="URL",
            help="Where the application shows what it has saved, such as its list of messages. With --mock: it is read"
            " after streams that end whole, are cut, fail and are left. The target's headers are sent there too.",
        ),
    ] = None
    clients: Annotated[
        bool,
        typer.Option(
            "--clients",
            help="Also replay the streams through popular clients, as the command clients does.",
            show_default=False,
        ),
    ] = False
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"The kind of endpoint, which raises or lowers the levels of checks: {', '.join(profiles.PROFILES)}."
            " Default: by the dialect.",
        ),
    ] = None

    def proxy(self, targets: int) -> str | None:
        """The URL of the proxy in front of the endpoint. Raises UsageError when there are several endpoints."""
        if self.via is None:
            return None
        if targets > 1:
            raise UsageError("--via works with one endpoint, but several are given", "give one URL")
        return checked_via(self.via)

    def assumed_of(self, target: CheckedTarget) -> CheckedTarget:
        """The target with the assumptions of these options. Raises UsageError on a profile that does not exist."""
        public, profile = self.public or target.public, self.profile or target.profile
        if profile is not None:
            profiles.by_name(profile)
        state_url = self.state_url or target.state_url
        return msgspec.structs.replace(target, public=public, profile=profile, state_url=state_url)
