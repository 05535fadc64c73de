"""The resolved plan of one stream: what the directive asks, and the server's defaults where it asks nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from streamgauge.mock_provider import faults, identity, text, timing
from streamgauge.mock_provider.answer import AnswerPlan, Tool, until_stop
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.directive import Directive, DirectiveError, Script
from streamgauge.mock_provider.durations import parse_duration
from streamgauge.mock_provider.faults.base import MOST_TOKENS, ActiveFault
from streamgauge.mock_provider.profiles import PROFILES, Profile
from streamgauge.mock_provider.timing.base import Delay
from streamgauge.mock_provider.timing.fixed import Fixed
from streamgauge.mock_provider.timing.trace import Trace, replay

MOST_WHOLE = 64 * 1_048_576  # characters of an answer that is not streamed: it is made in memory


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
    finish: str  # stop, length, tool_calls, content_filter, or what is asked: a dialect uses its own word for it
    tokens_per_event: int = 1
    events_per_write: int = 1
    prefill_ns: int = 0  # of the whole prompt
    answer_plan: AnswerPlan
    profile: Profile | None  # None: the dialect's own ways


def resolve(
    directive: Directive,
    config: MockConfig,
    *,
    features: frozenset[str],
    dialect_heartbeat_ns: int | None,
    max_tokens: int | None,
    ordinal: int = 0,
    prompt_tokens: int = 0,
    traces: Mapping[str, Trace] | None = None,
    calls: int | None = None,
    tools: tuple[Tool, ...] = (),
    profile: str | None = None,
) -> Plan:
    """The plan of a request whose dialect and protocol have `features`.

    A fault that they can't show is a DirectiveError if the directive asks for it; one that is set for the whole
    server simply does not apply.
    """
    script = directive.script or "play"
    if script != "endless":
        features |= {"finite"}
    tokens, ttft, itl = directive.tokens, directive.ttft, directive.itl
    replayed = directive.trace or config.replay
    if replayed is not None:
        if traces is None or replayed not in traces:
            known = ", ".join(traces or ()) or "none; give some with --trace NAME=FILE"
            raise DirectiveError(f"mock directive: trace: there is no {replayed!r}; there are {known}")
        row = traces[replayed].take()
        tokens = tokens if tokens is not None else len(row.gaps_ns) + 1
        ttft, itl = ttft or Fixed(row.ttft_ns), itl or replay(row)
    if tokens is None:
        tokens = config.tokens
    answer_plan = _answer_plan(directive, config, features, tokens, calls)._replace(tools=tools)
    tokens += answer_plan.reasoning
    finish = directive.finish or ("tool_calls" if answer_plan.calls else "stop")
    if max_tokens is not None and (script == "endless" or tokens > max_tokens):
        tokens, script, finish = (
            max_tokens,
            "play" if script == "endless" else script,
            directive.finish or "length",
        )

    if script == "endless" and "stream" not in features:
        raise DirectiveError('mock directive: script=endless needs "stream": true, or max_tokens')

    named = directive.profile or profile or config.profile
    chosen = PROFILES[named] if named is not None and "profile" in features else None
    if chosen is not None:
        features -= chosen.lacks

    if answer_plan.calls:
        features |= {"tool-calls"}
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

    stream_id = directive.id or identity.stream_id(ordinal)
    seed = directive.seed if directive.seed is not None else config.seed
    struck = _without_repeats(fault for index, fault in enumerate(active) if _strikes(fault, index, seed, stream_id))
    shown = next((fault.fault.text for fault in struck if fault.fault.text is not None), None)
    heartbeat_ns = dialect_heartbeat_ns
    if chosen is not None and chosen.heartbeat_ns is not None:
        heartbeat_ns = chosen.heartbeat_ns
    if config.heartbeat is not None:
        heartbeat_ns = parse_duration(config.heartbeat)
    if directive.heartbeat is not None:
        heartbeat_ns = directive.heartbeat
    kind = directive.text or shown or config.text
    most = min(MOST_TOKENS, MOST_WHOLE // text.longest(kind))
    if "stream" not in features and tokens > most:
        raise DirectiveError(f"mock directive: a whole answer of {kind} text has at most {most} tokens, got {tokens}")
    prefill_ns = directive.prefill if directive.prefill is not None else parse_duration(config.prefill)
    return Plan(
        id=stream_id,
        tokens=None if script == "endless" else tokens,
        ttft=ttft or timing.parse_delay(config.ttft),
        itl=itl or timing.parse_delay(config.itl),
        seed=seed,
        script=script,
        faults=struck,
        text=kind,
        heartbeat_ns=heartbeat_ns or None,  # 0 turns heartbeats off
        finish=finish,
        tokens_per_event=directive.tokens_per_event or config.tokens_per_event,
        events_per_write=directive.events_per_write or config.events_per_write,
        prefill_ns=prefill_ns * prompt_tokens,
        answer_plan=answer_plan,
        profile=chosen,
    )


def _answer_plan(
    directive: Directive, config: MockConfig, features: frozenset[str], tokens: int, calls: int | None
) -> AnswerPlan:
    """What the answer's `tokens` are; `calls` as in `dialects.base.Ask`."""
    reasoning = 0
    if "reasoning" in features:
        reasoning = directive.reasoning if directive.reasoning is not None else config.reasoning
    if calls == 0 or "tools" not in features:
        wanted = 0
    elif directive.tools is not None:
        wanted = directive.tools
        if wanted > tokens:
            raise DirectiveError(f"mock directive: tools={wanted} needs tokens={wanted} or more, got {tokens}")
        if wanted and "finite" not in features:
            raise DirectiveError("mock directive: tools needs an end, which script=endless has not")
    else:
        wanted = min(config.tools or calls or 0, tokens) if "finite" in features else 0
    return AnswerPlan(reasoning, tokens if wanted else 0, wanted, refuses=directive.answer == "refusal")


def stopped(plan: Plan, stop: tuple[str, ...], finish: str | None) -> Plan:
    """The plan that ends before the first of the `stop` texts; `finish` is the directive's finish reason."""
    if not stop or plan.answer_plan.calls:
        return plan
    cut = until_stop(plan, stop)
    if cut is None:
        return plan
    tokens, last = cut
    script: Script = "play" if plan.script == "endless" else plan.script
    answer_plan = plan.answer_plan._replace(last=last)
    return replace(plan, tokens=tokens, script=script, answer_plan=answer_plan, finish=finish or "stop")


def _without_repeats(struck: Iterable[ActiveFault]) -> tuple[ActiveFault, ...]:
    """Each fault that takes no argument once: again it would be another fault, and some double with every time."""
    kept: list[ActiveFault] = []
    for active in struck:
        if active.fault.takes or all(active.fault is not other.fault for other in kept):
            kept.append(active)
    return tuple(kept)


def _strikes(fault: ActiveFault, index: int, seed: int, stream_id: str) -> bool:
    """Whether a fault with a rate falls on this stream; `index` keeps two faults from falling on the same ones."""
    percent = fault.arg.percent
    return percent is None or identity.fraction(seed, stream_id, f"fault {index}") * 100 < percent
