"""`server.jsonl` of a run directory: one line for each answer of the server."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from streamgauge.files import open_regular
from streamgauge.protocol.typed import from_json
from streamgauge.serverlane.lane import Sample

SERVER: Final = "server.jsonl"
_LONGEST: Final = 4_096  # bytes of a line; a sample has some 200


def read_samples(directory: Path) -> Iterator[Sample]:
    """The samples of a run in the order in which they were taken. A line that is torn or not a sample is left out."""
    try:
        with open_regular(directory / SERVER) as file:
            while line := file.readline(_LONGEST):
                with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    yield from_json(line, Sample)
    except FileNotFoundError:
        return
