"""Run directories of others: their records and verdict files, up to the figures that a report shows."""

from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir
from typing import Final

import msgspec

from streamgauge.errors import UsageError
from streamgauge.metrics.summary import Totals
from streamgauge.protocol import dialects
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.record import record_of
from streamgauge.rundir import runs
from streamgauge.wire import End
from tests.fuzz.targets.bodies import bodies
from tests.fuzz.targets.choices import Target, own_name
from tests.fuzz.targets.judging import played
from tests.fuzz.targets.wire import HEADS


def _folder() -> Path:
    folder = Path(gettempdir(), own_name("run"))
    folder.mkdir(exist_ok=True)
    return folder


def records(data: bytes) -> None:
    """`streams.jsonl`: each line is a record or counts as torn, and all together have figures that can be written."""
    folder = _folder()
    (folder / runs.STREAMS).write_bytes(data)
    totals = Totals()
    reader = runs.RecordReader(folder)
    read = 0
    with suppress(UsageError):
        for record in reader:
            totals.add(record)
            read += 1
        for outline in runs.outlines(folder):
            assert isinstance(outline.left_ns, int)
    # A line that was cut, and was continued by a record, counts for both.
    assert read + reader.torn <= data.count(b"\n") + 1 + data.count(b'{"schema":')
    msgspec.json.encode(totals.summary())


def run_files(data: bytes) -> None:
    """`run.json`, `window.json` and the rows of the processes: a value, or a UsageError that says what is wrong."""
    folder = _folder()
    (folder / runs.WORKERS).mkdir(exist_ok=True)
    for name in (runs.RUN, runs.WINDOW, f"{runs.WORKERS}/1.json"):
        (folder / name).write_bytes(data)
    with suppress(UsageError):
        run = runs.read_file(folder / runs.RUN, runs.RunFile)
        msgspec.json.encode(run)
    with suppress(UsageError):
        runs.window(folder)
    runs.workers(folder)


def _records() -> list[bytes]:
    found = []
    for body in bodies()[::10]:
        for dialect in (None, dialects.by_name("openai-chat")):
            transcript = interpret(played(HEADS[0] + body, 3, End.CLOSED, "POST"), dialect)
            found.append(msgspec.json.encode(record_of(transcript, "fuzz", url="http://x/")) + b"\n")
    return sorted(set(found), key=len)[:60]


def _run_files() -> list[bytes]:
    run = runs.RunFile(command="load", target="http://x/", started="2026-01-01T00:00:00+00:00")
    return [
        msgspec.json.encode(run),
        msgspec.json.encode(msgspec.structs.replace(run, summary=Totals().summary())),
        b'{"begin_ns": 1, "end_ns": 2}',
        b'{"worker":1,"wall_ns":5,"cpu_ns":3,"late":{"1":2},"behind":{}}\n',
    ]


_WORDS: Final = (
    b'"schema":1', b'"schema":99', b'"outcome":"ok"', b'"reads":', b'"token_reads":', b'"at_ns":', b'"sent_ns":',
    b"null", b"-1", b"9223372036854775808", b"1e999", b"NaN", b"true", b"[[[[", b"\n",
)  # fmt: skip

RECORDS: Final = Target(records, _records, _WORDS)
RUN_FILES: Final = Target(run_files, _run_files, _WORDS)
