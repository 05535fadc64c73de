"""What the fixture `streamgauge_stream` gives: a stream that was read to its end, as a test wants to look at it."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from streamgauge.endpoint.client import StreamClient, settle
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import ready
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.transcript import Transcript

DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream. Times are ns from its start; `transcript` has everything else that was captured."""

    transcript: Transcript

    @property
    def outcome(self) -> str:
        """`ok`, or how it failed: `http_error`, `truncated`, `error_event`, ..."""
        return self.transcript.outcome.value

    @property
    def ok(self) -> bool:
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
        """When each token event had arrived."""
        start = self.transcript.capture.start_ns
        return [self.transcript.time_of(event) - start for event, _ in self.transcript.tokens]

    @property
    def ttft_ns(self) -> int | None:
        """Time to the first token; None when there was none."""
        return next(iter(self.token_ns), None)

    @property
    def events(self) -> list[tuple[str, str]]:
        """Type and data of every event."""
        return [(event.type, event.data) for event in self.transcript.events]

    @property
    def dialect(self) -> str | None:
        """The dialect that was spoken; None when it could not be told."""
        return None if self.transcript.dialect is None else self.transcript.dialect.name

    def __repr__(self) -> str:
        why = f" ({self.detail})" if self.detail else ""
        return f"<Stream {self.outcome}{why}, {len(self.tokens)} tokens, {self.text[:60]!r}>"


class Streams:
    """Opens streams, one client a target, and closes the clients at the end."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        self._stack.close()

    def open(
        self,
        target: str | Target | RequestSpec,
        *,
        prompt: str | None = None,
        deadline_s: float = DEADLINE_S,
        **options: Any,
    ) -> Stream:
        """Ask for a stream and read it to its end.

        `target` is a URL, a Target or one request; `options` are keys of a target file, such as method, body, headers,
        dialect or api_key_env. Raises UsageError on what cannot be asked, CannotMeasure when nobody listens.
        """
        if isinstance(target, RequestSpec):
            client = self._stack.enter_context(StreamClient())
            return Stream(client.run(target, deadline_s=deadline_s))
        given = Target(url=target) if isinstance(target, str) else target
        whole = ready(msgspec.structs.replace(given, **options))
        client = self._stack.enter_context(StreamClient.to(whole))
        asked = settle(client, whole)
        return Stream(client.run(asked.request(prompt), dialect=asked.reader(), deadline_s=deadline_s))
