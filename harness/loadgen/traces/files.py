"""A trace from a file, read once in each process: the schedule of a run must not change while it runs."""

import os.path
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from streamgauge.errors import UsageError
from streamgauge.files import open_regular, text_lines
from streamgauge.loadgen.schedule import Arrival
from streamgauge.loadgen.traces.controls import TraceControls
from streamgauge.loadgen.traces.reading import Trace, parse_trace
from streamgauge.loadgen.traces.rows import MOST_LINE
from streamgauge.loadgen.traces.timetable import arrivals_of
from streamgauge.protocol.typed import from_json

_HINT: Final = "give a CSV, JSON or JSON lines file in UTF-8"
_FOLDER_HINT: Final = "make one file of the JSON files in a folder: jq -c . DIR/*.json > FILE.jsonl"
_AS_LINES: Final = (
    "convert it to JSON lines: python -c \"import pandas; pandas.{}('FILE').to_json('FILE.jsonl', orient='records', "
    'lines=True)"'
)
_CONVERSIONS: Final = {
    b"PAR1": ("a Parquet file", _AS_LINES.format("read_parquet")),
    b"ARRO": ("an Arrow file", _AS_LINES.format("read_feather")),
    b"\x1f\x8b": ("compressed with gzip", "unpack it: gunzip --keep FILE"),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "unpack it: unzstd FILE"),
    b"PK\x03\x04": ("a zip archive", "unpack it: unzip FILE"),
}
"""The first bytes of files that hold traces but are not text."""


def read_trace(path: Path, controls: TraceControls) -> Trace:
    """The trace in this file; the same when it is read again. Raises UsageError when it cannot be read."""
    return _cached(path, msgspec.json.encode(controls))


def read_arrivals(path: Path, controls: TraceControls) -> list[Arrival]:
    """The arrivals of this file at their recorded times; the same when it is read again. Raises UsageError."""
    return _cached_arrivals(path, msgspec.json.encode(controls))


def forget_traces() -> None:
    """Read the next file from the disk, even if it was read before."""
    _cached.cache_clear()
    _cached_arrivals.cache_clear()


@lru_cache(maxsize=1)
def _cached_arrivals(path: Path, controls: bytes) -> list[Arrival]:
    return arrivals_of(_cached(path, controls), from_json(controls, TraceControls), path.name)


@lru_cache(maxsize=1)
def _cached(path: Path, controls: bytes) -> Trace:
    try:
        with open_regular(path) as file:
            _must_be_text(file.read(4), path)
        with text_lines(path, MOST_LINE) as lines:
            return parse_trace(lines, str(path), from_json(controls, TraceControls))
    except OSError as error:
        hint = (
            "a folder of JSON files becomes one file by: jq -c . DIR/*.json > FILE.jsonl"
            if os.path.isdir(path)
            else _HINT
        )
        raise UsageError(f"--replay {path} cannot be read: {error.strerror}", hint) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"--replay {path} is not text: {error}", _HINT) from None


def _must_be_text(start: bytes, path: Path) -> None:
    for magic, (kind, hint) in _CONVERSIONS.items():
        if start.startswith(magic):
            raise UsageError(f"--replay {path} is {kind}", hint.replace("FILE", path.name))
