"""Asks a server for its figures while a load runs: one GET a second, bounded in bytes and in time."""

import threading
import time
from pathlib import Path
from typing import Final, Self
from urllib.parse import urljoin, urlsplit

import httpx
import msgspec

from streamgauge.endpoint.plain_http import PlainClient
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import without_userinfo
from streamgauge.errors import CannotMeasure
from streamgauge.secrets import hide, in_url, learn, mask_url
from streamgauge.serverlane.engine import Engine, engines, paths
from streamgauge.serverlane.figures import Figures, engine_of, read
from streamgauge.serverlane.lane import Sample
from streamgauge.serverlane.samples import SERVER

OPTION: Final = "--server-metrics"
AUTO: Final = "auto"
EVERY_S: Final = 1.0
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
TIMEOUT_S: Final = 2.0
_MOST_BYTES: Final = 64 * 1024 * 1024  # of server.jsonl: two days at one line a second


class Source:
    """Where one server shows its figures: settled once, before the load begins."""

    engine: Engine
    url: str

    def __init__(self, target: Target, url: str, timeout_s: float = TIMEOUT_S) -> None:
        """Finds the engine. `url` AUTO tries the known paths of the target's own origin. An answer takes at most
        `timeout_s`.

        Raises UsageError for a URL that cannot be asked, and CannotMeasure when no known figures come.
        """
        self._timeout_s = timeout_s
        candidates = [urljoin(target.url, path) for path in paths()] if url == AUTO else [without_userinfo(url, OPTION)]
        learn(in_url(url))
        self._http = PlainClient.beside(target, candidates[0])
        problems: dict[str, list[str]] = {}
        for candidate in candidates:
            try:
                body = self.ask(candidate)
            except _NoAnswerError as problem:
                problems.setdefault(str(problem), []).append(urlsplit(candidate).path)
                continue
            name = engine_of(urlsplit(candidate).path, body)
            if name is not None:
                self.url, self.engine = candidate, engines()[name]
                return
            unknown = f"none of the known metrics in its {len(body):,} bytes"
            problems.setdefault(unknown, []).append(urlsplit(candidate).path)
        self._http.close()
        known = ", ".join(sorted({engine.name.partition(",")[0] for engine in engines().values()}))
        tried = "; ".join(f"{', '.join(at)}: {why}" for why, at in problems.items())
        raise CannotMeasure(
            f"no server metrics that are known: {tried}",
            f"known are those of {known}; give the address with {OPTION} URL",
        )

    @property
    def masked_url(self) -> str:
        return hide(mask_url(self.url))

    def close(self) -> None:
        self._http.close()

    def figures(self) -> Figures:
        """Ask once. Raises _NoAnswerError."""
        found = read(self.engine, self.ask(self.url))
        if found is None or found.running is None:
            raise _NoAnswerError(f"the figures of {self.engine.name} are not in the answer any more")
        return found

    def in_hand(self) -> int | None:
        """The requests that run or wait; None when no figures came. A gauge below zero counts as zero."""
        try:
            found = self.figures()
        except _NoAnswerError:
            return None
        return round(max(found.running or 0, 0) + max(found.waiting or 0, 0))

    def ask(self, url: str) -> bytes:
        """The body of one answer. Raises _NoAnswerError."""
        try:
            answer = self._http.ask("GET", url, most_bytes=MAX_ANSWER_BYTES, seconds=self._timeout_s)
        except httpx.ReadTimeout:
            raise _NoAnswerError(f"no end after {self._timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise _NoAnswerError(str(error) or type(error).__name__) from None
        if answer.status != 200:
            raise _NoAnswerError(f"HTTP {answer.status}")
        content, whole = answer.body
        if not whole:
            raise _NoAnswerError(f"no end after {len(content):,} bytes and {self._timeout_s:g} s at most")
        return content


class _NoAnswerError(Exception):
    """No figures came, and why."""


class Scraper:
    """A thread that writes a line to server.jsonl for each answer, from `__enter__` to `__exit__`."""

    def __init__(self, source: Source, directory: Path, every_s: float = EVERY_S) -> None:
        self.source = source
        self.failed = 0
        self.failure: str | None = None
        self._path = directory / SERVER
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="server metrics", daemon=True)

    def __enter__(self) -> Self:
        self._path.unlink(missing_ok=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(2 * TIMEOUT_S)

    def _run(self) -> None:
        written = 0
        try:
            with self._path.open("ab", buffering=0) as file:
                while True:
                    line = self._line()
                    if line is not None and written + len(line) <= _MOST_BYTES:
                        written += file.write(line)
                    if self._stop.wait(self._every_s):
                        return
        except OSError as error:  # a full disk: the run itself says so, and goes on without this lane
            self.failed, self.failure = self.failed + 1, f"server.jsonl cannot be written: {error.strerror}"
        finally:
            self.source.close()

    def _line(self) -> bytes | None:
        begin_ns = time.time_ns()
        try:
            figures = self.source.figures()
        except _NoAnswerError as problem:
            self.failed += 1
            self.failure = self.failure or str(problem)
            return None
        sample = Sample(begin_ns=begin_ns, end_ns=time.time_ns(), figures=figures)
        return msgspec.json.encode(sample) + b"\n"
