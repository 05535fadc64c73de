"""Whether the mock is the endpoint's upstream. Without that proof, an answer that rests on the mock's ledger is empty.

A wrong `--mock` would look harmless otherwise: the ledger has nothing to say, so nothing fails.
"""

from typing import Final, Self
from uuid import uuid4

from streamgauge.endpoint.client import StreamClient, not_a_stream
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.endpoint.target import Target, directive, with_directive
from streamgauge.errors import CannotMeasure
from streamgauge.protocol.transcript import Transcript
from streamgauge.units import plural

_REHEARSAL_S: Final = 30.0
_ROUTE: Final = (
    "set the endpoint's upstream base URL to this mock, and give the mock's own address with --mock; "
    "drop --mock to measure the endpoint without its upstream"
)
_PROMPT: Final = (
    "the endpoint must pass the user's prompt on to its upstream: put {{prompt}} where it belongs in --body; "
    "if those requests are not the endpoint's, set its upstream base URL to this mock"
)


class UpstreamWatch:
    """Tells the requests that this run makes the mock see from those that the mock had seen before."""

    @classmethod
    def begin(cls, mock: MockControl) -> Self:
        """Remember the newest request in the ledger. Raises CannotMeasure when the mock does not answer."""
        return cls(mock, max(map(_arrival_ns, mock.recent(1)), default=0))

    def __init__(self, mock: MockControl, newest_ns: int) -> None:
        self._mock, self._newest_ns = mock, newest_ns

    def must_have_seen(self, stream_id: str) -> None:
        """Raises CannotMeasure when the ledger has no request with this id: a request with it has been answered."""
        if not self._mock.entries(stream_id):
            raise self.nothing_seen()

    def nothing_seen(self) -> CannotMeasure:
        """The error for a run without a trace in the ledger. It says whether the mock saw other requests meanwhile."""
        others = sum(_arrival_ns(entry) > self._newest_ns for entry in self._mock.recent())
        if others:
            return CannotMeasure(
                f"the endpoint answered, and the mock at {self._mock.url} saw {plural(others, 'request')}, but none "
                "with the directive that this run puts into the prompt",
                _PROMPT,
            )
        return CannotMeasure(
            f"the endpoint answered, but the mock at {self._mock.url} saw no request: it is not its upstream",
            _ROUTE,
        )


def marked(target: Target, prompt: str | None = None, **keys: str | int) -> tuple[RequestSpec, str]:
    """A request whose prompt carries a directive with these keys and a new id; the id finds it in the mock's ledger.

    Without keys, a directive of the user's own counts.
    """
    stream_id = uuid4().hex[:12]
    text = target.prompt if prompt is None else prompt
    asked = f"{text} {directive(id=stream_id, **keys)}" if keys else with_directive(text, id=stream_id)
    return target.request(asked), stream_id


def rehearse(client: StreamClient, target: Target, mock: MockControl) -> Transcript:
    """One short stream, read to its end. Raises CannotMeasure when there is none, or when it is not from the mock.

    An endpoint that forwards nothing to the mock would otherwise waste no token and look perfect.
    """
    watch = UpstreamWatch.begin(mock)
    spec, stream_id = marked(target, tokens=3, ttft="1ms", itl="1ms")
    transcript = client.run(spec, dialect=target.reader(), deadline_s=_REHEARSAL_S)
    if not transcript.is_stream:
        raise not_a_stream(transcript)
    watch.must_have_seen(stream_id)
    return transcript


def _arrival_ns(entry: dict[str, object]) -> int:
    at_ns = entry.get("arrival_ns")
    return at_ns if isinstance(at_ns, int) else 0
