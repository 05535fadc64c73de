"""The resolved plan of one stream: what the directive asks, and the server's defaults where it asks nothing."""

import secrets
from dataclasses import dataclass

from mock_provider import faults, timing
from mock_provider.config import MockConfig
from mock_provider.directive import Directive, DirectiveError, Script
from mock_provider.durations import parse_duration
from mock_provider.faults.base import ActiveFault
from mock_provider.timing.base import Delay


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that decides the bytes of a stream and their times."""

    id: str
    tokens: int | None  # None: endless
    ttft: Delay
    itl: Delay
    seed: int
    script: Script
    faults: tuple[ActiveFault, ...]
    text: str
    heartbeat_ns: int | None  # None: no heartbeats
    finish: str


def resolve(
    directive: Directive,
    config: MockConfig,
    *,
    features: frozenset[str],
    dialect_heartbeat_ns: int | None,
    max_tokens: int | None,
) -> Plan:
    """The plan of a request whose dialect and protocol have `features`.

    A fault that they can't show is a DirectiveError if the directive asks for it; one that is set for the whole
    server simply does not apply.
    """
    script = directive.script or "play"
    if script != "endless":
        features |= {"finite"}
    tokens = directive.tokens if directive.tokens is not None else config.tokens
    finish = directive.finish or "stop"
    if max_tokens is not None and (script == "endless" or tokens > max_tokens):
        tokens, script, finish = (
            max_tokens,
            "play" if script == "endless" else script,
            directive.finish or "length",
        )

    if script == "endless" and "stream" not in features:
        raise DirectiveError('mock directive: script=endless needs "stream": true, or max_tokens')

    active = [fault for fault in map(faults.parse, config.faults) if fault.fault.needs <= features]
    for asked in directive.fault:
        missing = asked.fault.needs - features
        if asked.fault.server_wide:
            raise DirectiveError(
                f"mock directive: fault {asked.fault.name} acts before a prompt is read; set it for the whole server"
                f" with --fault {asked.fault.name}"
            )
        if missing:
            raise DirectiveError(
                f"mock directive: fault {asked.fault.name} needs {' and '.join(sorted(missing))};"
                f" this request has {', '.join(sorted(features))}"
            )
        active.append(asked)

    shown = next((fault.fault.text for fault in active if fault.fault.text is not None), None)
    heartbeat_ns = dialect_heartbeat_ns
    if config.heartbeat is not None:
        heartbeat_ns = parse_duration(config.heartbeat)
    if directive.heartbeat is not None:
        heartbeat_ns = directive.heartbeat
    return Plan(
        id=directive.id or f"stream-{secrets.token_hex(8)}",
        tokens=None if script == "endless" else tokens,
        ttft=directive.ttft or timing.parse_delay(config.ttft),
        itl=directive.itl or timing.parse_delay(config.itl),
        seed=directive.seed if directive.seed is not None else config.seed,
        script=script,
        faults=tuple(active),
        text=directive.text or shown or config.text,
        heartbeat_ns=heartbeat_ns or None,  # 0 turns heartbeats off
        finish=finish,
    )
