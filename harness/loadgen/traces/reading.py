"""A trace file becomes its requests: the format by the columns, the unit of time by the format and the values."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final, NamedTuple

from streamgauge.errors import UsageError
from streamgauge.loadgen.traces.controls import TraceControls
from streamgauge.loadgen.traces.format import Options, Seen, Timed, TraceFormat
from streamgauge.loadgen.traces.registry import format_named, format_of
from streamgauge.loadgen.traces.request import Request
from streamgauge.loadgen.traces.rows import HINT, Row, rows_of
from streamgauge.loadgen.traces.time_unit import UNITS, WORDS, Evidence, Numbers, unit_of
from streamgauge.loadgen.traces.values import LATEST_NS, Time
from streamgauge.units import SECOND, plural

MAX_REQUESTS: Final = 5_000_000
MOST_BLOCKS: Final = 20_000_000
_LATE_HINT: Final = "is the unit right? --time-unit says it"
_FIRST_ROWS: Final = 50
"""So many rows decide the columns: JSON lines may leave out a field that has no value."""


class Trace(NamedTuple):
    """The requests of a file, in the order of the file, with their times as in the file (ns).

    `unit` says how the timestamps were read. With `own_starts` the times of each group count from its own start, and
    nothing says when the groups started. `remarks` are phrases about rows that could not be taken as they are.
    """

    requests: list[Request]
    format: TraceFormat
    unit: str
    remarks: tuple[str, ...]
    own_starts: bool


def parse_trace(lines: Iterable[str], name: str, controls: TraceControls | None = None) -> Trace:
    """The requests in `lines`. Raises UsageError that names the line, and on a file whose meaning is not certain."""
    controls = controls or TraceControls()
    rows = _renamed(rows_of(lines, name), controls.columns)
    first = list(islice(rows, _FIRST_ROWS))
    if not first:
        raise UsageError(f"{name} holds no arrival", HINT)
    columns = frozenset(chain.from_iterable(row.fields for row in first))
    form = format_named(controls.format) if controls.format else format_of(columns, first[0].where)
    options = Options(controls.block_tokens)
    timed = _bounded(form.rows(chain(first, rows), options), name)
    unit, unit_ns = _unit(timed, form, columns, controls, name)
    requests = [_placed(at, request, unit_ns, name) for at, request in timed]
    repeated = _repeated(requests)
    requests, remarks = _usable(requests, controls)
    if repeated:
        remarks.append(f"{plural(repeated, 'row')} equal to an earlier one")
    groups = {request.group for request in requests}
    no_starts = all(request.at_ns is None for request in requests) or (form.times_per_group and len(groups) > 1)
    return Trace(requests, form, unit, tuple(remarks), no_starts)


def _renamed(rows: Iterable[Row], columns: dict[str, str]) -> Iterator[Row]:
    for row in rows:
        if not columns:
            yield row
            continue
        missing = [name for name in columns.values() if name not in row.fields]
        if missing and columns["timestamp"] in missing:
            shown = ", ".join(list(row.fields)[:12])[:200]
            raise UsageError(f"{row.where} has no column {columns['timestamp']}. It has: {shown}", HINT)
        yield Row(row.where, {own: row.fields.get(name) for own, name in columns.items()})


def _bounded(timed: Iterable[Timed], name: str) -> list[Timed]:
    found: list[Timed] = []
    blocks = 0
    for pair in timed:
        found.append(pair)
        blocks += len(pair[1].blocks.ids) if pair[1].blocks else 0
        if len(found) > MAX_REQUESTS or blocks > MOST_BLOCKS:
            raise UsageError(
                f"{name} has more than {MAX_REQUESTS:,} arrivals or {MOST_BLOCKS:,} blocks",
                "cut the file to the part to replay",
            )
    if not found:
        raise UsageError(f"{name} holds no arrival", HINT)
    return found


def _unit(
    timed: list[Timed], form: TraceFormat, columns: frozenset[str], controls: TraceControls, name: str
) -> tuple[str, float]:
    """How the timestamps are read, in words, and the ns of one unit."""
    times = [at for at, _ in timed if at is not None]
    dates = sum(at.is_date for at in times)
    if dates and dates < len(times):
        raise UsageError(f"{name} has {dates:,} dates and {len(times) - dates:,} numbers as timestamps", HINT)
    if not times:
        return "no timestamps", 1
    if dates:
        return "timestamps read as dates", 1
    if controls.unit_ns is not None:
        known = next((WORDS[unit] for unit, unit_ns in UNITS.items() if unit_ns == controls.unit_ns), None)
        return f"timestamps read as {known or f'{controls.unit_ns / SECOND:g} s each'} (--time-unit)", controls.unit_ns
    values = [at.value for at in times]
    fractions = any(isinstance(value, float) and not value.is_integer() for value in values)
    # Columns that the user had to name are in no published format, so no definition says their unit.
    evidence = Evidence(None) if controls.columns else form.time(Seen(columns, fractions))
    unit = unit_of(Numbers(len(values), min(values), max(values), fractions), evidence, name)
    return f"timestamps read as {WORDS[unit]}", UNITS[unit]


def _placed(at: Time | None, request: Request, unit_ns: float, name: str) -> Request:
    if at is None:
        return request
    if at.value * unit_ns > LATEST_NS:
        raise UsageError(f"{name}: the timestamp {at.value:g} is later than any clock can show", _LATE_HINT)
    exact = isinstance(at.value, int) and float(unit_ns).is_integer()
    return request._replace(at_ns=int(at.value) * int(unit_ns) if exact else round(at.value * unit_ns))


def _usable(requests: list[Request], controls: TraceControls) -> tuple[list[Request], list[str]]:
    """The requests as a server can serve them, and a phrase for each change.

    A request for 0 tokens is refused by servers, and BurstGPT writes 0 for an answer that failed.
    """
    changes: Counter[str] = Counter()

    def at_least_one(tokens: int | None, what: str) -> int | None:
        if tokens != 0:
            return tokens
        changes[f"with 0 {what} tokens, replayed with 1"] += 1
        return 1

    def at_most(tokens: int | None, limit: int | None, what: str) -> int | None:
        if tokens is None or limit is None or tokens <= limit:
            return tokens
        changes[f"with more than {limit:,} {what} tokens, cut to that"] += 1
        return limit

    def usable(request: Request) -> Request:
        prompt = at_most(at_least_one(request.prompt_tokens, "prompt"), controls.max_prompt_tokens, "prompt")
        output = at_most(at_least_one(request.output_tokens, "output"), controls.max_output_tokens, "output")
        blocks = request.blocks
        if blocks is not None and prompt is not None:
            blocks = blocks._replace(ids=blocks.ids[: -(-prompt // blocks.size)])
        return request._replace(prompt_tokens=prompt, output_tokens=output, blocks=blocks)

    kept = [usable(request) for request in requests]
    return kept, [f"{count:,} of {plural(len(kept), 'request')} {change}" for change, count in changes.items()]


def _repeated(requests: list[Request]) -> int:
    """How many rows say the same as an earlier row: often a file that was written twice."""
    keys = [
        (request.at_ns, request.prompt_tokens, request.output_tokens, request.session, request.blocks)
        for request in requests
        if request.at_ns is not None
    ]
    return len(keys) - len(set(keys))
