"""Where a server-wide fault acts: one method for each place in the server, in the order of a request's life.

A directive cannot switch such a fault on, because it acts before the prompt is read or across streams. A fault
overrides the methods that it needs; the server calls every method of every hook and knows none of them by name.
"""

from streamgauge.mock_provider.chat_request import ChatRequest, Refusal
from streamgauge.mock_provider.http import Reply, Request


class ServerHook:
    """Changes nothing. One instance serves one server, so a subclass may keep state between requests."""

    half_close_silence_ns: int | None = None  # after a client's half-close, a stream is silent so long and then ends
    limits_input: bool = True  # whether a URL or a prompt that is too long is refused

    def on_request(self, request: Request) -> None:
        """A request for an answer has been read, and its method is not checked yet; the hook may change it."""

    def on_method_not_allowed(self, reply: Reply) -> None:
        """`reply`, a 405, is about to be sent; the hook may change it."""

    def outage(self) -> str | None:
        """The message of a 500 that answers every request for a stream; None: the server works."""
        return None

    def overlooks(self, refusal: Refusal) -> bool:  # noqa: ARG002 (for faults that look at it)
        """Whether the request gets an answer to an empty prompt in place of `refusal`."""
        return False

    def on_chat_request(self, chat: ChatRequest) -> ChatRequest:
        """The request for an answer that the server uses in place of `chat`."""
        return chat

    def status_when_full(self, status: int) -> int:
        """The status where no slot is free or a quota is used up; `status` is the right one, 429."""
        return status

    def on_stream_end(self, *, disconnected: bool) -> None:
        """A stream has ended; `disconnected` if its client left before the end."""

    def frees_slot(self, *, disconnected: bool) -> bool:  # noqa: ARG002 (likewise)
        """Whether the end of a stream gives its slot of --key-slots back; called after `on_stream_end`."""
        return True
