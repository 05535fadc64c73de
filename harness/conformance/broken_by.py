"""How to see a check fail where a fault of the mock alone does not show it."""

from typing import NamedTuple


class BrokenBy(NamedTuple):
    """What breaks a check, as `explain` prints it.

    Without one, the first fault in whose `trips` the check stands is shown: a fault says itself which checks it breaks.
    `fault` chooses the fault, with its argument. `mock` are flags of `streamgauge mock`. `proxy` are flags of
    `streamgauge proxy` in front of it; None is no proxy. `shape` is the dialect to ask the mock for.
    """

    fault: str | None = None
    mock: str = ""
    proxy: str | None = None
    shape: str = "openai-chat"
