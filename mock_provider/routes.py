"""Finds the handler of a path: exact paths first, then patterns such as `/v1beta/models/{model}:generateContent`."""

import re
from typing import Generic, TypeVar
from urllib.parse import unquote

T = TypeVar("T")
_PLACE = re.compile(r"\{(\w+)\}")


class Routes(Generic[T]):
    """Handlers by path and method; `{name}` in a path matches one segment or a part of a segment."""

    def __init__(self) -> None:
        self._exact: dict[str, dict[str, T]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, T]]] = []

    @property
    def paths(self) -> list[str]:
        """Every path as it was added."""
        return list(self._exact)

    def add(self, method: str, path: str, handler: T) -> None:
        """Serve `method` on `path` with `handler`."""
        if path not in self._exact:
            self._exact[path] = {}
            if _PLACE.search(path):
                pieces = _PLACE.split(path)  # text, name, text, name, ..., text
                pattern = "".join(f"(?P<{p}>[^/]+)" if i % 2 else re.escape(p) for i, p in enumerate(pieces))
                self._patterns.append((re.compile(pattern), self._exact[path]))
        self._exact[path][method] = handler

    def find(self, path: str) -> tuple[dict[str, T], dict[str, str]] | None:
        """The handlers of a path by method, and the values of its placeholders."""
        if path in self._exact and not _PLACE.search(path):  # a request for the pattern itself is matched below
            return self._exact[path], {}
        for pattern, methods in self._patterns:
            match = pattern.fullmatch(path)
            if match is not None:
                return methods, {name: unquote(value) for name, value in match.groupdict().items()}
        return None
