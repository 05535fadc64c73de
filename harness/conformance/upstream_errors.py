"""The matrix of upstream errors: what the client gets for each failure of the upstream before its first byte."""

from itertools import pairwise
from typing import Any, Final

from streamgauge.conformance.bare_error import bare_error
from streamgauge.conformance.cases import Case, Observed
from streamgauge.conformance.result import UpstreamError
from streamgauge.conformance.scenarios.upstream_errors import REFUSED
from streamgauge.protocol.dialects.payload import NotJson, decode
from streamgauge.units import SECOND

SILENT: Final = "no answer"
WITH_RETRY_AFTER: Final = (429, 503)  # the mock's answers that carry Retry-After
_MOST_KEYS: Final = 4


def upstream_errors(case: Case) -> list[UpstreamError]:
    """A row for each failure that was tried."""
    tried = [_row(seen, (seen.variant or "").removeprefix("upstream ")) for seen in case.of(("upstream-errors",))]
    return tried + [_row(seen, SILENT) for seen in case.of(("quiet-silent",)) if not case.endpoint_is_mock]


def _row(seen: Observed, upstream: str) -> UpstreamError:
    head, capture = seen.head, seen.transcript.capture
    arrivals = seen.upstream.arrivals_ns if seen.upstream else ()
    return UpstreamError(
        upstream=upstream,
        outcome=seen.transcript.outcome.value,
        seconds=round(((capture.end_ns or capture.start_ns) - capture.start_ns) / SECOND, 3),
        body=body_shape(seen),
        status=seen.status,
        media_type=None if head is None else head.media_type,
        retry_after=None if head is None else head.get("retry-after"),
        upstream_retry_after=seen.size in WITH_RETRY_AFTER,
        tries=seen.upstream.requests if seen.upstream else None if seen.variant == REFUSED else 0,
        try_gaps_s=[round((after - before) / SECOND, 3) for before, after in pairwise(arrivals)],
    )


def body_shape(seen: Observed) -> str:
    """The shape of an answer's body in a few words."""
    body = seen.transcript.body or b"".join(data for _, data in seen.transcript.capture.body)
    if seen.head is None:
        return "no answer"
    if not body.strip():
        return "empty"
    if seen.failed_by_error and seen.is_event_stream:
        return "an error event"
    if seen.streams:
        return "JSON without SSE framing" if bare_error(seen.transcript) else "a stream without an error"
    if body.lstrip()[:1] == b"<":
        return "an HTML page"
    value = decode(body)
    return "text" if isinstance(value, NotJson) else _json_shape(value)


def _json_shape(value: Any) -> str:
    if not isinstance(value, dict):
        return "JSON, not an object"
    error = value.get("error")
    if isinstance(error, dict):
        return f"JSON: error {{{_keys(error)}}}"
    if "title" in value and ("status" in value or "type" in value):
        return "problem details (RFC 9457)"
    return f"JSON: {_keys(value)}"


def _keys(value: dict[str, Any]) -> str:
    keys = [key[:20] for key in value]
    return ", ".join(keys[:_MOST_KEYS]) + (", …" if len(keys) > _MOST_KEYS else "")
