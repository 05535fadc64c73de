"""The options of `streamgauge capacity`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from streamgauge.capacity.axis import Axis
from streamgauge.capacity.budget import Budget, Price
from streamgauge.capacity.fleet import FleetRequest
from streamgauge.capacity.objective import Objective, objectives
from streamgauge.capacity.search import SearchPlan
from streamgauge.cli.option_groups import options_of
from streamgauge.cli.prompt_options import OutputTokens, PrefixTokens, PromptFile, PromptTokens, Tokenizer
from streamgauge.cli.trace_options import TRACE, TraceFlags
from streamgauge.errors import UsageError
from streamgauge.loadgen.model import workload_from
from streamgauge.loadgen.schedule import MAX_PER_S, MAX_USERS
from streamgauge.loadgen.workload import Workload
from streamgauge.units import SECOND, parse_bounded

_SEARCH: Final = "Search"
_BUDGET: Final = "Budget"
_FLEET: Final = "Fleet"
_LEAST_POINT_S: Final = 1.0


def _search(*names: str, **rest: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_SEARCH, **rest)


def _budget(*names: str, **rest: Any) -> Any:
    return typer.Option(*names, rich_help_panel=_BUDGET, **rest)


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What to look for, and how precisely."""

    slos: Annotated[
        list[str] | None,
        _search(
            "--slo",
            metavar="'METRIC pN < LIMIT'",
            help="An objective that every load must meet, such as 'ttft p95 < 500ms', 'itl p99 < 80ms', 'error_rate < "
            "1%' or 'goodput > 95%'; for a class of streams 'ttft p95 < 500ms where prompt <= 1k'; repeatable. Without "
            "one about failures, 'error_rate < 5%' is added.",
        ),
    ] = None
    axis: Annotated[
        Axis,
        _search(
            metavar="AXIS",
            help="The load that varies: users (closed loop), rate (arrivals per second, open loop), or sessions "
            "(conversations at once, each of several turns; see --replay).",
        ),
    ] = Axis.USERS
    at_least: Annotated[
        float | None,
        _search(metavar="N", min=0, help="For CI: exit 0 when the endpoint holds N, 1 when it does not."),
    ] = None
    quick: Annotated[
        bool, _search("--quick", help="With --at-least: measure N alone, until it is decided. No interval.")
    ] = False
    start: Annotated[float, _search(metavar="N", min=0.01, help="The first load; it is doubled from there.")] = 1
    most: Annotated[float | None, _search(metavar="N", min=0.01, help="The largest load to try. Default: 10000.")] = (
        None
    )
    precision: Annotated[
        float,
        _search(metavar="PERCENT", min=0.1, max=50, help="How far the two ends may be apart, in percent of the lower."),
    ] = 5.0
    confidence: Annotated[
        float,
        _search(metavar="PERCENT", min=80, max=99.9, help="Confidence of the verdict on each point, in percent."),
    ] = 95.0
    point: Annotated[str, _search(metavar="DURATION", help="How long a point is measured, after its warm-up.")] = "15s"
    longest: Annotated[str, _search(metavar="DURATION", help="How long an undecided load may be measured.")] = "2m"
    repeats: Annotated[
        int, _search(metavar="N", min=1, max=10, help="Trials that must agree at each end of the interval.")
    ] = 2
    from_above: Annotated[
        bool, _search(help="Measure the answer again right after an overload: does the endpoint recover?")
    ] = True
    confirm_rate: Annotated[
        bool, _search(help="Offer the same streams per second in an open loop, which does not wait for the endpoint.")
    ] = True
    sustain: Annotated[
        str, _search(metavar="DURATION", help="At the end, hold the answer and 80 % of it for this long.")
    ] = "0"
    seed: Annotated[int, _search(metavar="N", min=0, max=999_999, help="Seed of prompts, lengths and order.")] = 1

    def objectives(self) -> list[Objective]:
        """The objectives. Raises UsageError when there is none, or one that cannot be decided."""
        if not self.slos:
            raise UsageError("no objective is given", "give for example --slo 'ttft p95 < 500ms'; repeatable")
        return objectives(self.slos)

    def plan(self, found: list[Objective]) -> SearchPlan:
        """The search. Raises UsageError on options that do not fit together."""
        seconds = parse_bounded(self.point, "--point") / SECOND
        longest_s = parse_bounded(self.longest, "--longest") / SECOND
        if seconds < _LEAST_POINT_S or longest_s < seconds:
            raise UsageError(
                f"--point {self.point} and --longest {self.longest} do not fit",
                "give at least 1s for --point, and at least as much for --longest",
            )
        limit = MAX_USERS if self.axis.is_whole else MAX_PER_S
        most = min(10_000, limit) if self.most is None else self.most
        if self.axis.is_whole and (self.start != int(self.start) or most != int(most) or self.start < 1):
            raise UsageError(f"--start and --most count {self.axis.value}", "give whole numbers from 1, or --axis rate")
        if not self.start <= most <= limit:
            raise UsageError(f"--most {most:g} is not between --start {self.start:g} and {limit:,}")
        if self.quick and not self.at_least:
            raise UsageError("--quick needs a load to decide", "give --at-least N")
        if self.quick and self.axis.is_whole and self.at_least != int(self.at_least or 0):
            raise UsageError(f"--at-least counts {self.axis.value}", "give a whole number from 1, or --axis rate")
        return SearchPlan(
            only=self.at_least if self.quick else None,
            axis=self.axis,
            start=self.start,
            most=most,
            precision=self.precision / 100,
            seconds=seconds,
            longest_s=longest_s,
            needed=max(objective.needed(self.confidence / 100) for objective in found),
            agreeing=self.repeats,
            from_above=self.from_above,
            confirm_rate=self.confirm_rate,
            sustain_s=parse_bounded(self.sustain, "--sustain") / SECOND,
            seed=self.seed,
        )


@dataclass(frozen=True, kw_only=True)
class BudgetOptions:
    """What a search may spend. It stops before the point that could exceed a limit."""

    budget: Annotated[str, _budget(metavar="DURATION", help="Longest time of the whole search.")] = "30m"
    max_requests: Annotated[int | None, _budget(metavar="N", min=1, help="Requests of the whole search.")] = None
    max_total_tokens: Annotated[
        int | None, _budget(metavar="N", min=1, help="Tokens of all prompts and answers together.")
    ] = None
    max_cost: Annotated[
        float | None, _budget(metavar="AMOUNT", min=0, help="Cost of the whole search; needs --price.")
    ] = None
    price: Annotated[
        str | None,
        _budget(metavar="IN,OUT", help="Price of a million tokens of prompts and of answers, such as 0.15,0.60."),
    ] = None
    dry_run: Annotated[
        bool, _budget("--dry-run", help="Print what the search would do at most, and ask for nothing.")
    ] = False

    def limits(self) -> Budget:
        """The limits. Raises UsageError on text that cannot be read."""
        if self.max_cost is not None and self.price is None:
            raise UsageError("--max-cost needs a price", "give --price IN,OUT for a million tokens, such as 0.15,0.60")
        return Budget(
            seconds=parse_bounded(self.budget, "--budget") / SECOND,
            requests=self.max_requests,
            tokens=self.max_total_tokens,
            cost=self.max_cost,
            price=_price(self.price) if self.price is not None else Price(),
        )


@dataclass(frozen=True, kw_only=True)
class CapacityPrompts:
    """The prompts of every point. Each one is unique, so that no cache can answer, unless --same-prompts is given."""

    prompt_file: PromptFile = None
    prompt_tokens: PromptTokens = None
    output_tokens: OutputTokens = None
    prefix_tokens: PrefixTokens = None
    tokenizer: Tokenizer = None
    same_prompts: Annotated[
        bool,
        typer.Option(
            "--same-prompts",
            help="Do not make every prompt unique: a cache may then answer, and the capacity is that of the cache.",
            rich_help_panel="Prompts",
            show_default=False,
        ),
    ] = False

    def keywords(self) -> dict[str, Any]:
        """The keywords of `plan_from`, without the nonce."""
        return {name: value for name, value in asdict(self).items() if name != "same_prompts" and value is not None}


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """The conversations of --axis sessions: a trace, and how it is read."""

    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --axis sessions: a trace with conversations, in a format of `load --replay`. Each of the users "
            "plays one conversation after the other: every turn waits for the answer to the turn before and for the "
            "recorded pause. Objectives can be for later turns: 'ttft p95 < 1s where turn > 1'.",
            rich_help_panel=TRACE,
        ),
    ] = None
    trace: TraceFlags

    def keywords(self, axis: Axis) -> dict[str, Any]:
        """The keywords of `workload_from`. Raises UsageError on options that do not fit the axis."""
        given = {name: value for name, value in options_of(self).items() if value is not None}
        if axis is not Axis.SESSIONS and given:
            name = f"--{next(iter(given)).replace('_', '-')}"
            raise UsageError(f"{name} belongs to --axis sessions", f"drop {name}, or give --axis sessions")
        if axis is Axis.SESSIONS and self.replay is None:
            raise UsageError(
                "--axis sessions needs conversations",
                "give --replay FILE: a trace whose rows name their session, such as ShareGPT, Bailian or Mooncake with "
                "session_id (docs/traces.md)",
            )
        return given

    def conversations(self, axis: Axis) -> Workload | None:
        """One user who plays the conversations of the trace; None on another axis. Raises UsageError as `load` does,
        and when no request belongs to a session.
        """
        given = self.keywords(axis)
        if not given:
            return None
        played = workload_from(users=1, **given)
        if not any(request.session for request in played.recorded()):
            raise UsageError(
                f"{self.replay} has no sessions: {played.understood}",
                "give a trace whose rows name their session (--trace-columns session_id=COLUMN), or --axis users",
            )
        return played


@dataclass(frozen=True, kw_only=True)
class FleetOptions:
    """Several replicas, and how many of them a number of users needs."""

    for_users: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Say how many replicas N users need.", rich_help_panel=_FLEET),
    ] = None
    headroom: Annotated[
        float,
        typer.Option(
            metavar="PERCENT", min=0, max=1000, help="With --for-users: room for more.", rich_help_panel=_FLEET
        ),
    ] = 20.0
    for_pause: Annotated[
        str,
        typer.Option(
            metavar="DURATION",
            help="With --for-users: their pause between two streams. Leave it out when --think-time already has it.",
            rich_help_panel=_FLEET,
        ),
    ] = "0"
    replicas: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            min=1,
            help="Replicas behind the URL. Default: those that --replica-header or --replica-address finds, else one.",
            rich_help_panel=_FLEET,
        ),
    ] = None
    slots: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Streams that a replica serves at once, for Erlang C.", rich_help_panel=_FLEET
        ),
    ] = None
    replica_header: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Field of an answer that names its replica: shows skew.", rich_help_panel=_FLEET
        ),
    ] = None
    replica_address: Annotated[
        bool,
        typer.Option(
            "--replica-address",
            help="The replica is the address that answered, where the host name has several: shows skew.",
            rich_help_panel=_FLEET,
        ),
    ] = False
    replica_url: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="A replica's own URL: it is searched before the fleet, each with the whole budget; repeatable.",
            rich_help_panel=_FLEET,
        ),
    ] = None

    def request(self) -> FleetRequest:
        """What to plan. Raises UsageError on text that cannot be read, and on two ways to name a replica."""
        if self.replica_header is not None and self.replica_address:
            raise UsageError(
                "--replica-header and --replica-address do not go together", "a replica has one name: drop one of them"
            )
        return FleetRequest(
            users=self.for_users,
            headroom=self.headroom / 100,
            pause_s=parse_bounded(self.for_pause, "--for-pause") / SECOND,
            slots=self.slots,
            replicas=self.replicas,
        )


@dataclass(frozen=True, kw_only=True)
class PointOptions:
    """How each point is made, and where the files go."""

    think_time: Annotated[
        str | None,
        typer.Option(metavar="PAUSE", help="A user's pause before its next request: 2s, exp(2s) or uniform(1s,3s)."),
    ] = None
    abandon: Annotated[
        str | None,
        typer.Option(metavar="SHARE@WHEN", help="Close a share of the streams early: 10%@tokens:5..50 or 10%@2s..5s."),
    ] = None
    processes: Annotated[
        int, typer.Option(metavar="P", help="Processes that share the load; -1: one for each CPU.")
    ] = 1
    drain: Annotated[
        str, typer.Option(metavar="DURATION", help="Time for running streams to end at the end of a point.")
    ] = "10s"
    server_metrics: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The server's own figures (running, waiting): http://HOST:PORT/metrics of vLLM, SGLang, llama.cpp and "
            "others, or auto. A point then begins when the server has nothing left of the one before.",
        ),
    ] = None
    reset_cache: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="POST to this URL before each point, so that no prefix is cached: vLLM's /reset_prefix_cache (in its "
            "development mode), SGLang's /flush_cache. The search ends when the server does not do it.",
        ),
    ] = None
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The error floor of this client: calibration.json, or its directory."),
    ] = None
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the search that was interrupted in --out.")] = (
        False
    )
    directory: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Directory. Default: runs/capacity-TIME-ID.")
    ] = None


def _price(text: str) -> Price:
    try:
        prompt, output = (float(part) for part in text.split(","))
    except ValueError:
        prompt = output = -1.0
    if not (0 <= prompt < 1e9 and 0 <= output < 1e9):
        raise UsageError(
            f"--price {text!r} is not two prices",
            "write the price of a million tokens of prompts and of answers: 0.15,0.60",
        )
    return Price(prompt, output)
