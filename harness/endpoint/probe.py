"""`streamgauge.probe`: one stream, read to its end, as a value."""

from dataclasses import dataclass
from typing import Final

from streamgauge.endpoint.client import StreamClient, settle, unreachable
from streamgauge.endpoint.mock_ledger import LedgerEntry, MockControl
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import as_target
from streamgauge.endpoint.upstream import UpstreamWatch, marked
from streamgauge.leaks import quoted
from streamgauge.protocol.causality import misread, older_by_ns
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.transcript import Transcript
from streamgauge.secrets import mask_url
from streamgauge.units import show_ms

DEADLINE_S: Final = 600.0


@dataclass(frozen=True, slots=True, repr=False)
class Stream:
    """One stream, read to its end. Times are ns since its start; `transcript` has everything else that was captured."""

    transcript: Transcript

    @property
    def url(self) -> str:
        """The URL that was requested, secrets masked."""
        return mask_url(self.transcript.capture.url)

    @property
    def outcome(self) -> str:
        """`ok`, or how it failed: `http_error`, `truncated`, `error_event`, ..."""
        return self.transcript.outcome.value

    @property
    def ok(self) -> bool:
        """Whether the whole stream came, without an error."""
        return self.transcript.outcome is Outcome.OK

    @property
    def detail(self) -> str | None:
        """Why it is not ok, in words."""
        return self.transcript.detail

    @property
    def status(self) -> int | None:
        """The HTTP status; None without an answer."""
        head = self.transcript.capture.head
        return None if head is None else head.status

    def header(self, name: str) -> str | None:
        """All values of a response header, joined by a comma; None when it is absent."""
        head = self.transcript.capture.head
        return None if head is None else head.get(name)

    @property
    def text(self) -> str:
        """The answer."""
        return self.transcript.text

    @property
    def tokens(self) -> list[str]:
        """The text of each token event."""
        return [text for _, text in self.transcript.tokens]

    @property
    def token_ns(self) -> list[int]:
        """The arrival of each token event."""
        start = self.transcript.capture.start_ns
        return [self.transcript.time_of(event) - start for event, _ in self.transcript.tokens]

    @property
    def ttft_ns(self) -> int | None:
        """Time to the first token; None when no token came, and while there is a `doubt`."""
        return None if self.doubt else next(iter(self.token_ns), None)

    @property
    def doubt(self) -> str | None:
        """Why the dialect is uncertain, so that times and counts of tokens are withheld; None when it is certain."""
        return self.transcript.dialect_doubt

    @property
    def events(self) -> list[tuple[str, str]]:
        """Type and data of every event."""
        return [(event.type, event.data) for event in self.transcript.events]

    @property
    def dialect(self) -> str | None:
        """The dialect of the answer; None when it could not be recognised."""
        return None if self.transcript.dialect is None else self.transcript.dialect.name

    def __repr__(self) -> str:
        why = f" ({quoted(self.detail)})" if self.detail else ""
        ttft = "" if self.ttft_ns is None else f", TTFT {show_ms(self.ttft_ns)}"
        return f"<Stream {self.outcome}{why}{ttft}, {len(self.tokens)} tokens, {quoted(self.text[:60])!r}>"


def probe(target: str | Target, *, prompt: str | None = None, deadline_s: float = DEADLINE_S) -> Stream:
    """Open one stream and read it to its end, for at most `deadline_s` seconds.

    A failing endpoint is an outcome, not an exception. Raises UsageError on a target that cannot be used, and
    CannotMeasure when nothing listens there, or when the stream does not come from `Target.mock`.
    """
    stream = read_stream(as_target(target), prompt, deadline_s)
    if stream.transcript.outcome is Outcome.CONNECT_ERROR:
        raise unreachable(stream.transcript)
    return stream


def _from_mock(target: Target, prompt: str | None, deadline_s: float) -> Stream:
    """One stream that the mock must have seen."""
    with StreamClient.to(target, total_s=deadline_s) as client, MockControl.of(target) as mock:
        watch = UpstreamWatch.begin(mock)
        settled = settle(client, target)
        spec, stream_id = marked(settled, prompt)
        stream = Stream(client.run(spec, dialect=settled.reader(), deadline_s=deadline_s))
        if stream.transcript.is_stream:
            watch.must_have_seen(stream_id)
            _compare_with_write(stream, mock.entries(stream_id))
        return stream


def _compare_with_write(stream: Stream, entries: list[LedgerEntry]) -> None:
    """Doubt a stream whose first token is older than the mock's write of it."""
    written_ns = entries[-1].token_ns() if entries else []
    true_ns = written_ns[0] - entries[-1].arrival_ns if written_ns else None
    if older_ns := older_by_ns(stream.ttft_ns, true_ns):
        stream.transcript.dialect_doubt = misread(stream.dialect, older_ns)


def read_stream(target: Target, prompt: str | None, deadline_s: float) -> Stream:
    """One stream of a target that is complete. Without a connection its outcome is `connect_error`.

    Raises CannotMeasure when the target is not settled (so requests must be tried first) and nothing listens there, and
    when the stream does not come from the target's mock.
    """
    if target.mock is not None:
        return _from_mock(target, prompt, deadline_s)
    with StreamClient.to(target, total_s=deadline_s) as client:
        settled = settle(client, target)
        return Stream(client.run(settled.request(prompt), dialect=settled.reader(), deadline_s=deadline_s))
