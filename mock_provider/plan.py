"""The plan of one stream: the settings of its directive, and the server's where the directive has none."""

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

MOST_WHOLE = 64 * 1_048_576  # characters of an answer that is not streamed, because it is built in memory


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
    said: tuple[str, ...] | None = None  # the tokens of a given text, in place of `text`
    heartbeat_ns: int | None  # None: no heartbeats
    finish: str  # stop, length, tool_calls, content_filter or the directive's word; a dialect translates the first four
    tokens_per_event: int = 1
    events_per_write: int = 1
    prefill_ns: int = 0  # of the whole prompt
    answer_plan: AnswerPlan
    profile: Profile | None  # None: no vendor's deviations


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

    A fault that needs another feature is a DirectiveError if the directive names it; a flag's fault is left out.
    """
    script = directive.script or "play"
    if script != "endless":
        features |= {"finite"}
    tokens, ttft, itl = _pace(directive, config, traces or {})
    said, wanted_calls = _said(directive, config), _wanted_calls(directive, config, features, calls)
    if wanted_calls and directive.say is None and not config.tools:
        said = None  # the server's text is an answer: as the arguments of a call that this request wants, it is broken
    if said is not None and directive.tokens is None:
        tokens = len(said) * max(wanted_calls, 1)
    answer_plan = _answer_plan(directive, config, features, tokens, calls)._replace(tools=tools)
    tokens += answer_plan.reasoning
    finish = directive.finish or ("tool_calls" if answer_plan.calls else "stop")
    if max_tokens is not None and (script == "endless" or tokens > max_tokens):
        tokens, finish = max_tokens, directive.finish or "length"
        script = "play" if script == "endless" else script
    if script == "endless" and "stream" not in features:
        raise DirectiveError('mock directive: script=endless needs "stream": true, or max_tokens')

    vendor = _profile(directive.profile or profile or config.profile, features)
    if vendor is not None:
        features -= vendor.lacks
    if answer_plan.calls:
        features |= {"tool-calls"}

    stream_id = directive.id or identity.stream_id(ordinal)
    seed = directive.seed if directive.seed is not None else config.seed
    applicable = _applicable_faults(directive, config, features)
    active = _without_repeats(
        fault for index, fault in enumerate(applicable) if _strikes(fault, index, seed, stream_id)
    )
    wanted_text = next((fault.fault.text for fault in active if fault.fault.text is not None), None)
    text_kind = directive.text or wanted_text or config.text
    if wanted_text is not None and directive.say is None:
        said = None  # the fault needs its own text more than the server's --say
    if "stream" not in features:
        _check_whole_answer(tokens, text_kind, said)
    prefill_ns = directive.prefill if directive.prefill is not None else parse_duration(config.prefill)
    return Plan(
        id=stream_id,
        tokens=None if script == "endless" else tokens,
        ttft=ttft,
        itl=itl,
        seed=seed,
        script=script,
        faults=active,
        text=text_kind,
        said=said,
        heartbeat_ns=_heartbeat_ns(directive, config, vendor, dialect_heartbeat_ns),
        finish=finish,
        tokens_per_event=directive.tokens_per_event or config.tokens_per_event,
        events_per_write=directive.events_per_write or config.events_per_write,
        prefill_ns=prefill_ns * prompt_tokens,
        answer_plan=answer_plan,
        profile=vendor,
    )


def _pace(directive: Directive, config: MockConfig, traces: Mapping[str, Trace]) -> tuple[int, Delay, Delay]:
    """Tokens, ttft and itl: from the directive, else from the trace that is replayed, else from the config."""
    tokens, ttft, itl = directive.tokens, directive.ttft, directive.itl
    trace = directive.trace or config.replay
    if trace is not None:
        if trace not in traces:
            known = ", ".join(traces) or "none; give some with --trace NAME=FILE"
            raise DirectiveError(f"mock directive: trace: there is no {trace!r}; there are {known}")
        row = traces[trace].take()
        tokens = tokens if tokens is not None else len(row.gaps_ns) + 1
        ttft, itl = ttft or Fixed(row.ttft_ns), itl or replay(row)
    return (
        tokens if tokens is not None else config.tokens,
        ttft or timing.parse_delay(config.ttft),
        itl or timing.parse_delay(config.itl),
    )


def _said(directive: Directive, config: MockConfig) -> tuple[str, ...] | None:
    """The tokens of the directive's text, else those of the server's, unless the directive names a kind of text."""
    if directive.say is not None:
        return text.split(directive.say)
    return text.split(config.say) if config.say is not None and directive.text is None else None


def _profile(name: str | None, features: frozenset[str]) -> Profile | None:
    return PROFILES[name] if name is not None and "profile" in features else None


def _heartbeat_ns(
    directive: Directive, config: MockConfig, vendor: Profile | None, dialect_heartbeat_ns: int | None
) -> int | None:
    """Silence before a heartbeat: of the directive, else the flag, the vendor, the dialect; 0 anywhere means none."""
    heartbeat_ns = dialect_heartbeat_ns
    if vendor is not None and vendor.heartbeat_ns is not None:
        heartbeat_ns = vendor.heartbeat_ns
    if config.heartbeat is not None:
        heartbeat_ns = parse_duration(config.heartbeat)
    if directive.heartbeat is not None:
        heartbeat_ns = directive.heartbeat
    return heartbeat_ns or None


def _applicable_faults(directive: Directive, config: MockConfig, features: frozenset[str]) -> list[ActiveFault]:
    """The faults of the flags that this stream can show, then those of the directive."""
    applicable = [fault for fault in map(faults.parse, config.faults) if fault.fault.needs <= features]
    for active in directive.fault:
        name, missing = active.fault.name, active.fault.needs - features
        if active.fault.server_wide:
            raise DirectiveError(
                f"mock directive: fault {name} acts before a prompt is read; set it for the whole server"
                f" with --fault {name}"
            )
        if missing:
            raise DirectiveError(
                f"mock directive: fault {name} needs {' and '.join(sorted(missing))};"
                f" this request has {', '.join(sorted(features))}"
            )
        applicable.append(active)
    return applicable


def _check_whole_answer(tokens: int, text_kind: str, said: tuple[str, ...] | None) -> None:
    longest = text.longest(text_kind) if said is None else max(map(len, said), default=1)
    most = min(MOST_TOKENS, MOST_WHOLE // longest)
    if tokens > most:
        raise DirectiveError(
            f"mock directive: a whole answer of {text_kind} text has at most {most} tokens, got {tokens}"
        )


def _answer_plan(
    directive: Directive, config: MockConfig, features: frozenset[str], tokens: int, calls: int | None
) -> AnswerPlan:
    """The kinds of the answer's `tokens`; `calls` as in `ChatRequest.calls`."""
    reasoning = 0
    if "reasoning" in features:
        reasoning = directive.reasoning if directive.reasoning is not None else config.reasoning
    wanted = _wanted_calls(directive, config, features, calls)
    if wanted and directive.tools is not None:
        if wanted > tokens:
            raise DirectiveError(f"mock directive: tools={wanted} needs tokens={wanted} or more, got {tokens}")
        if wanted and "finite" not in features:
            raise DirectiveError("mock directive: tools needs a stream that ends, and script=endless never ends")
    else:
        wanted = min(wanted, tokens) if "finite" in features else 0
    return AnswerPlan(reasoning, tokens if wanted else 0, wanted, refuses=directive.answer == "refusal")


def _wanted_calls(directive: Directive, config: MockConfig, features: frozenset[str], calls: int | None) -> int:
    """Tool calls in place of text; `calls` as in `ChatRequest.calls`."""
    if calls == 0 or "tools" not in features:
        return 0
    return directive.tools if directive.tools is not None else config.tools or calls or 0


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


def _without_repeats(active: Iterable[ActiveFault]) -> tuple[ActiveFault, ...]:
    """Each fault without an argument once: applied twice it would be a different fault, and some double each time."""
    kept: list[ActiveFault] = []
    for candidate in active:
        if candidate.fault.takes or all(candidate.fault is not other.fault for other in kept):
            kept.append(candidate)
    return tuple(kept)


def _strikes(fault: ActiveFault, index: int, seed: int, stream_id: str) -> bool:
    """Whether a fault with a rate falls on this stream; `index` makes two faults fall on different streams."""
    percent = fault.arg.percent
    return percent is None or identity.fraction(seed, stream_id, f"fault {index}") * 100 < percent
