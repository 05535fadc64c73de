"""The door to the native reader (`_reader.pyi`), which is optional: without a C compiler it is not built.

`READER` is its class, or None; then `WHY_NOT` says why, and what to do.
"""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from streamgauge.transport._reader import Reader

# STREAMGAUGE_READER=python switches the native reader off: for comparisons and tests.
SWITCH: Final = "STREAMGAUGE_READER"
VERSION: Final = 2
"""What this package expects of the native reader; _readermodule.c has the same number."""
_NOT_BUILT: Final = (
    "the native reader was not built when Streamgauge was installed: install a C compiler and Python's headers "
    "(Debian, Ubuntu: apt-get install gcc python3-dev), then install Streamgauge again (pip install --force-reinstall)"
)


def load(environment: Mapping[str, str], platform: str = sys.platform) -> "tuple[type[Reader] | None, str | None]":
    """The class of the native reader, or the reason why there is none."""
    if environment.get(SWITCH) == "python":
        return None, f"the native reader is switched off by {SWITCH}=python"
    if platform != "linux":
        return None, "the native reader needs Linux (epoll, eventfd, timerfd)"
    try:
        _reader = import_module("streamgauge.transport._reader")
    except ModuleNotFoundError:
        return None, _NOT_BUILT
    except ImportError as error:
        return (
            None,
            f"the native reader does not load: {error}; install Streamgauge again (pip install --force-reinstall)",
        )
    if getattr(_reader, "VERSION", None) != VERSION:
        return None, "the native reader was built from other sources: install Streamgauge again (`make` in a checkout)"
    return _reader.Reader, None


READER, WHY_NOT = load(os.environ)
