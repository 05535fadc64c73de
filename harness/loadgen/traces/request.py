"""One recorded request: when it came, how long it was, and to which conversation it belongs."""

from typing import Any, NamedTuple

from streamgauge.loadgen.leave import Leave


class Blocks(NamedTuple):
    """The blocks of a prompt in order, `size` tokens each. Equal ids in the same `scope` are equal text."""

    size: int
    ids: tuple[int | str, ...]
    scope: str = ""


class Request(NamedTuple):
    """One request of a trace. None stands for everything that the trace does not say.

    Requests with the same `session` are the turns of one conversation. A `group` is a session with all its sub-agents.
    `think_ns` is the recorded pause between the end of the previous turn and this one; `lasted_ns` is how long the
    recorded answer took. The prompt is `messages`, else `text`, else made of `blocks`, else text of `prompt_tokens`.
    """

    at_ns: int | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    session: str | None = None
    group: str | None = None
    think_ns: int | None = None
    lasted_ns: int | None = None
    leave: Leave | None = None
    blocks: Blocks | None = None
    text: str | None = None
    messages: tuple[dict[str, Any], ...] | None = None
