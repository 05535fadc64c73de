"""Standard output and standard error that show no secret, whoever writes to them: a library, a thread, a scenario."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO

from streamgauge.secrets import hide

_NAMES: Final = ("stdout", "stderr")


class HidingStream:
    """A text stream that masks secrets in each text before it writes it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(hide(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def hide_output() -> None:
    """Mask secrets in the output of this process from now on."""
    for name in _NAMES:
        if not isinstance(getattr(sys, name), HidingStream):
            setattr(sys, name, HidingStream(getattr(sys, name)))


@contextmanager
def hidden_output() -> Iterator[None]:
    """`hide_output` for a while."""
    before = {name: getattr(sys, name) for name in _NAMES}
    hide_output()
    try:
        yield
    finally:
        for name, stream in before.items():
            setattr(sys, name, stream)
