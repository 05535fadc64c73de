"""The door to the two modules in C, which are optional: without a C compiler they are not built.

`READER` is the class of the native reader (`_reader.pyi`), or None; then `WHY_NOT` says why, and what to do. `CUT` cuts
the chunks of a body (`_chunks.pyi`), or is None; chunks_fast.py can do it, too.
"""

import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from streamgauge.transport._reader import Reader

Cut = Callable[[bytes, int, list[int]], "tuple[list[bytes], list[int], list[int]] | None"]

# STREAMGAUGE_READER=python switches both off: for comparisons and tests.
SWITCH: Final = "STREAMGAUGE_READER"
VERSION: Final = 2
"""What this package expects of the native reader; _readermodule.c has the same number."""
CHUNKS_VERSION: Final = 1
"""The same for _chunksmodule.c."""
_NOT_BUILT: Final = (
    "the native reader was not built when Streamgauge was installed: install a C compiler and Python's headers "
    "(Debian, Ubuntu: apt-get install gcc python3-dev), then install Streamgauge again (pip install --force-reinstall)"
)


def _module(name: str, version: int, environment: Mapping[str, str], platform: str) -> ModuleType | str:
    """A module in C, or the reason why there is none."""
    if environment.get(SWITCH) == "python":
        return f"the native reader is switched off by {SWITCH}=python"
    if platform != "linux":
        return "the native reader needs Linux (epoll, eventfd, timerfd)"
    try:
        module = import_module(f"streamgauge.transport.{name}")
    except ModuleNotFoundError:
        return _NOT_BUILT
    except ImportError as error:
        return f"the native reader does not load: {error}; install Streamgauge again (pip install --force-reinstall)"
    if getattr(module, "VERSION", None) != version:
        return "the native reader was built from other sources: install Streamgauge again (`make` in a checkout)"
    return module


def load(environment: Mapping[str, str], platform: str = sys.platform) -> "tuple[type[Reader] | None, str | None]":
    """The class of the native reader, or the reason why there is none."""
    found = _module("_reader", VERSION, environment, platform)
    return (None, found) if isinstance(found, str) else (found.Reader, None)


def load_cut(environment: Mapping[str, str], platform: str = sys.platform) -> Cut | None:
    """The function that cuts chunked bodies, or None."""
    found = _module("_chunks", CHUNKS_VERSION, environment, platform)
    return None if isinstance(found, str) else found.cut


READER, WHY_NOT = load(os.environ)
CUT: Final = load_cut(os.environ)
