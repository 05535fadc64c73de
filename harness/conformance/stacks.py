"""Which products an endpoint's headers give away, so that a finding shows the fixes for those and not for all."""

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from streamgauge.conformance.result import CheckResult
from streamgauge.wire import Head

# A header, a mark in its value in lower case, and the stack whose fixes then help.
_MARKS: Final = (
    ("server", "kestrel", "aspnet"),
    ("x-powered-by", "asp.net", "aspnet"),
    ("server", "microsoft-iis", "iis"),
    ("server", "nginx", "nginx"),
    ("server", "openresty", "nginx"),
    ("server", "apache", "apache"),
    ("server", "caddy", "caddy"),
    ("via", "caddy", "caddy"),
    ("server", "envoy", "envoy"),
    ("server", "cloudflare", "cloudflare"),
    ("server", "uvicorn", "python"),
    ("server", "hypercorn", "python"),
    ("server", "gunicorn", "python"),
    ("server", "werkzeug", "python"),
    ("x-powered-by", "express", "node"),
    ("x-powered-by", "next.js", "node"),
)


APPLICATIONS: Final = frozenset({"aspnet", "node", "python", "go"})


def stacks_in(heads: Iterable[Head | None]) -> frozenset[str]:
    """The stacks whose marks stand in some response heads; empty when none is known."""
    seen = [(name, value.lower()) for head in heads if head for name in _NAMES for value in head.all(name)]
    return frozenset(stack for name, mark, stack in _MARKS if any(name == n and mark in value for n, value in seen))


def for_stacks(result: CheckResult, stacks: Collection[str]) -> CheckResult:
    """The result with the fixes of those stacks only; with all of them when none is known.

    A proxy puts its own name in the place of the application's, so where only proxies are known every application is
    possible.
    """
    if not stacks:
        return result
    shown = {*stacks} if APPLICATIONS & {*stacks} else {*stacks, *APPLICATIONS}
    return msgspec.structs.replace(result, fixes={name: fix for name, fix in result.fixes.items() if name in shown})


_NAMES: Final = frozenset(name for name, _, _ in _MARKS)
