"""Plain text in HTTP chunks, no event stream at all (guide S2, chunked): each read's text is one event."""

from harness.dialects import custom
from harness.dialects.base import Ask, Defaults, Delta, Kind, Media
from harness.eventstream import Event


class PlainText(Defaults):
    name = "plain-text"
    summary = "plain text sent piece by piece, no events; each piece that arrives counts as one token event"
    media = Media.TEXT
    json_payload = False
    terminal = None

    def read(self, event: Event) -> list[Delta]:
        return [Delta(Kind.CONTENT, event.data)]

    def sniff(self, event: Event) -> str | None:  # noqa: ARG002 - decided by Content-Type before any event
        return None

    def ask(self, prompt: str, model: str, max_tokens: int | None) -> Ask:  # noqa: ARG002 - nowhere to put them
        return custom.get(prompt)
