"""A probe against a real endpoint: a load of its own, read back as the observation of a point."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any, Final, NamedTuple

import msgspec

from streamgauge.capacity.axis import Axis
from streamgauge.capacity.client import Trouble, core_awaited, core_used, troubles
from streamgauge.capacity.objective import ERRORS, Objective
from streamgauge.capacity.observe import Sample, observe
from streamgauge.capacity.point import Observation
from streamgauge.capacity.preview import Sizes
from streamgauge.capacity.probe import Probe
from streamgauge.capacity.stream import Stream, Value, fate_of
from streamgauge.endpoint.target import Target
from streamgauge.loadgen.model import workload_from
from streamgauge.loadgen.plan import LoadPlan
from streamgauge.loadgen.progress import LoadProgress
from streamgauge.loadgen.prompts import source
from streamgauge.loadgen.prompts.options import plan_from
from streamgauge.loadgen.result import LoadResult
from streamgauge.loadgen.run import run_load
from streamgauge.loadgen.scenario_files import locustfiles
from streamgauge.loadgen.workload import Workload
from streamgauge.metrics.abort_rules import AbortRule
from streamgauge.metrics.calibration import Calibration
from streamgauge.metrics.condition import Condition
from streamgauge.metrics.definitions import BY_NAME
from streamgauge.metrics.distributions import statistic
from streamgauge.metrics.facts import StreamFacts
from streamgauge.metrics.metric import PerStream, Pooled
from streamgauge.metrics.process_stats import WorkerRow
from streamgauge.metrics.slo import scopes_of
from streamgauge.metrics.validity import BOUNDS, LATE_USERS, Validity
from streamgauge.rundir.runs import workers
from streamgauge.units import SECOND

_HOPELESS: Final = 5
"""A point ends early when a latency is so many times its limit, or when most streams fail."""
_HOPELESS_ERRORS: Final = 0.5
_HOPELESS_FOR_S: Final = 5
_MEMBER: Final = Value(0.0, 0, 0)
"""Of an objective on a share: the stream counts in it, and its fate decides."""
_INTERRUPTED: Final = "interrupted by the user"
_SAMPLED: Final = 200
"""So many prompts show how long prompts and answers are on average."""


class Conditions(NamedTuple):
    """What is the same for every point of a search. `prompts` are the keywords of `plan_from`, without the nonce.

    `trace` are the keywords of `workload_from` about a trace of conversations: `replay` and how it is read.
    """

    target: Target
    objectives: Sequence[Objective]
    confidence: float
    prompts: dict[str, Any]
    nonce: bool
    processes: int = 1
    think_time: str | None = None
    abandon: str | None = None
    drain_s: float = 10.0
    trace: Mapping[str, Any] = {}
    replica_header: str | None = None
    replica_address: bool = False
    server_metrics: str | None = None
    reset_cache: str | None = None
    calibration: Calibration | None = None


def was_interrupted(seen: Observation) -> bool:
    """Whether Ctrl-C ended this point."""
    return seen.unusable == _INTERRUPTED


def measure(probe: Probe, conditions: Conditions, directory: Path, progress: LoadProgress) -> Observation:
    """Run the load of a probe in a directory of its own. Raises what `run_load` raises."""
    result = run_load(conditions.target, load_plan(probe, conditions, directory), progress)
    return observed(probe, conditions, result)


def load_plan(probe: Probe, conditions: Conditions, directory: Path) -> LoadPlan:
    """The load of a probe. Raises UsageError on a probe that is not a load, such as too many users."""
    shape: dict[str, Any] = (
        {"users": int(probe.load), "think_time": conditions.think_time}
        if probe.axis.is_whole
        else {"rate": f"{probe.load:.9f}/s"}
    )
    workload = workload_from(
        duration=f"{probe.seconds:.3f}s",
        warmup=f"{probe.warmup_s:.3f}s",
        drain=f"{conditions.drain_s:.3f}s",
        seed=probe.seed,
        processes=min(conditions.processes, max(int(probe.load), 1)),
        abandon=conditions.abandon,
        **shape,
        **conditions.trace,
    )
    workload = msgspec.structs.replace(
        workload, replica_header=conditions.replica_header, replica_address=conditions.replica_address
    )
    prompts = plan_from(**conditions.prompts, nonce=conditions.nonce)
    return LoadPlan(
        workload=workload,
        directory=directory,
        locustfiles=locustfiles(None, workload),
        prompts=source(
            msgspec.structs.replace(
                prompts, text=conditions.target.prompt, seed=workload.seed, processes=workload.processes
            )
        ),
        slos=[objective.condition for objective in conditions.objectives],
        abort_rules=hopeless(conditions.objectives),
        calibration=conditions.calibration,
        server_metrics=conditions.server_metrics,
    )


def sizes_of(target: Target, prompts: Mapping[str, Any], played: Workload | None, *, unique: bool) -> Sizes:
    """What the streams of a search ask for on average. `played` are the conversations of a trace."""
    if played is not None:
        return _sizes_of_trace(played)
    plan = plan_from(**prompts, nonce=unique)
    found = source(msgspec.structs.replace(plan, text=target.prompt))
    lengths = [found.lengths(number) for number in range(_SAMPLED)]
    outputs = [output for _, output in lengths if output is not None]
    output = fmean(outputs) if outputs else target.max_tokens
    return Sizes(prompt=fmean(prompt or 0 for prompt, _ in lengths), output=output)


def _sizes_of_trace(played: Workload) -> Sizes:
    requests = played.recorded()
    prompts = [request.prompt_tokens for request in requests if request.prompt_tokens is not None]
    outputs = [request.output_tokens for request in requests if request.output_tokens is not None]
    arrivals = list(islice(played.sessions(), _SAMPLED))
    pauses_ns = [follower.pause_ns for arrival in arrivals for follower in arrival.followers]
    return Sizes(
        pause_s=sum(pauses_ns) / SECOND / (len(arrivals) + len(pauses_ns)),
        prompt=fmean(prompts) if prompts else None,
        output=fmean(outputs) if outputs else None,
        understood=played.understood,
    )


def hopeless(objectives: Sequence[Objective]) -> list[AbortRule]:
    """The rules that end a point early, because its load is far too large and its streams decide it already."""
    window = _HOPELESS_FOR_S * SECOND
    rules = [AbortRule(Condition(ERRORS, None, _HOPELESS_ERRORS, ">"), window)]
    for objective in objectives:
        if objective.is_latency:
            condition = objective.condition
            rules.append(AbortRule(condition._replace(op=">", limit=condition.limit * _HOPELESS), window))
    return rules


def observed(probe: Probe, conditions: Conditions, result: LoadResult) -> Observation:
    """The observation of a finished load."""
    totals, summary, ended = result.totals, result.summary, result.ended
    window = totals.window
    facts = sorted(map(StreamFacts, result.records()), key=lambda stream: stream.record.start_ns)
    origin_ns = window.begin_ns if window is not None else (facts[0].record.start_ns if facts else 0)
    end_ns = window.end_ns if window is not None else (totals.last_ns or origin_ns)
    sample = Sample(
        streams=[_stream(stream, conditions.objectives, origin_ns) for stream in facts],
        begin_s=0.0,
        end_s=(end_ns - origin_ns) / SECOND,
        waits=[None if stream.ttft_ns is None else stream.ttft_ns / SECOND for stream in facts],
    )
    lateness, excused = summary.loop_late_ms, _excused(probe)
    client = summary.validity.about([]).without(excused)
    rows = workers(result.directory)
    return observe(
        probe,
        sample,
        conditions.objectives,
        conditions.confidence,
        pooled=dict(_pooled(result, conditions.objectives)),
        doubts=dict(_doubts(summary.validity.without(excused), conditions.objectives)),
        client=client.verdict,
        client_reasons=list(client.reasons),
        late_users=next((doubt.reason for doubt in summary.validity.doubts if doubt.limit in excused), None),
        troubles=_troubles(result, conditions.objectives, rows),
        core_used=_rounded(core_used(rows)),
        core_awaited=_rounded(core_awaited(rows)),
        loop_late_ms=None if lateness is None else lateness.p99,
        cached_share=summary.cached_share,
        session_s=_session_s(result),
        stopped=ended.stopped,
        unusable=_unusable(result),
        directory=result.directory.name,
    )


def _unusable(result: LoadResult) -> str | None:
    """Why the load says nothing about the endpoint's capacity; None when it does."""
    if result.ended.interrupted:
        return _INTERRUPTED
    # A stream that this machine could not ask for makes the client INVALID: the client is then the limit.
    if faults := [fault for fault in result.run.faults if fault not in result.totals.faults]:
        return f"the load was not the planned one: {'; '.join(faults)}"
    if outages := str(result.totals.outages):
        return f"the endpoint was out of reach: {outages}"
    return None


def _stream(stream: StreamFacts, objectives: Sequence[Objective], origin_ns: int) -> Stream:
    record = stream.record
    start_ns = record.start_ns - origin_ns
    return Stream(
        start_s=start_ns / SECOND,
        end_s=(start_ns + (record.closed_ns or record.end_ns or 0)) / SECOND,
        fate=fate_of(record.outcome, record.status),
        values=tuple(_value(stream, objective) for objective in objectives),
        tokens=record.output_tokens or 0,
        prompt_tokens=record.usage_prompt_tokens or record.asked_prompt_tokens or 0,
        replica=record.replica,
    )


def _value(stream: StreamFacts, objective: Objective) -> Value | None:
    """The stream's measurement for an objective; None where it has none, or belongs to another class."""
    metric, holds = BY_NAME[objective.metric], objective.condition.holds
    if not objective.condition.covers(stream.record):
        return None
    if not objective.is_latency:
        return _MEMBER
    gap_error = max(stream.itl_bounds_ns, default=0)
    if isinstance(metric, Pooled):
        values = metric.values(stream)
        zeros = metric.zeros(stream) if metric.zeros is not None else 0
        count = len(values) + zeros
        if not count:
            return None
        possible = sum(not holds(value + gap_error) for value in values)
        certain = sum(not holds(value - gap_error) for value in values)
        return Value(max(values, default=0), certain, possible, count)
    if not isinstance(metric, PerStream):
        return None
    value = metric.of_stream(stream)
    if value is None:
        waited = metric.cut(stream) if metric.cut is not None else None
        # A stream that was cut while it waited has missed the limit, or says nothing.
        return None if waited is None or holds(waited) else Value(waited, 1, 1)
    early = gap_error if metric.of_gaps else (stream.ttft_bound_ns or 0)
    late = gap_error if metric.of_gaps else 0
    return Value(value, int(not holds(value - early)), int(not holds(value + late)))


def _doubts(client: Validity, objectives: Sequence[Objective]) -> Iterator[tuple[str, str]]:
    """The objectives whose figures this client may have distorted, each with the reason.

    An objective about a latency weighs each stream with its own error bound: a large bound is no further doubt.
    """
    every = [objective.condition for objective in objectives]
    for objective in objectives:
        weighed = BOUNDS if objective.is_latency else frozenset()
        found = client.about(scopes_of([objective.condition], every)).without(weighed)
        if found.verdict in ("SUSPECT", "INVALID"):
            yield str(objective), f"{found.verdict}, {'; '.join(found.reasons)}"


def _excused(probe: Probe) -> frozenset[str]:
    """The limits that `judge` allows for by itself: users who begin late only make a closed load smaller."""
    return frozenset({LATE_USERS}) if probe.axis is Axis.USERS else frozenset()


def _troubles(result: LoadResult, objectives: Sequence[Objective], rows: Sequence[WorkerRow]) -> list[Trouble]:
    """Why this client was too slow, by the limits that concern the objectives."""
    every = [objective.condition for objective in objectives]
    doubts = result.summary.validity.about(scopes_of(every, every)).doubts
    limits = {doubt.limit for doubt in doubts if doubt.limit is not None}
    accounts = result.ended.accounts
    others = {
        Trouble.MEANS: result.totals.faults,
        Trouble.CLOCK: any(account.stepped_ns for account in accounts),
        Trouble.STOPPED: any(account.stopped_ns for account in accounts),
        Trouble.NETWORK: str(result.totals.outages),
    }
    found = troubles(limits, core_used(rows), core_awaited(rows))
    return [*found, *(trouble for trouble, is_found in others.items() if is_found)]


def _session_s(result: LoadResult) -> float | None:
    """The mean time of a conversation, in seconds."""
    sessions = result.run.sessions
    return None if sessions is None or sessions.time_ms is None else round(sessions.time_ms.mean / 1_000, 3)


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 3)


def _pooled(result: LoadResult, objectives: Sequence[Objective]) -> Iterator[tuple[str, float]]:
    """The percentile of each pooled objective, in ns."""
    for objective in objectives:
        if objective.is_pooled and objective.condition.statistic is not None:
            pools = result.totals.group(objective.condition).pools
            found = statistic(pools[objective.metric], objective.condition.statistic)
            if found is not None:
                yield str(objective), found.value
