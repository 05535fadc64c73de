"""The run directory while it is written, torn and shared."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamgauge.errors import UsageError
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import SCHEMA, Reads, StreamRecord, Waits
from streamgauge.rundir import runs
from streamgauge.rundir.accounts import AccountReader
from streamgauge.rundir.claim import must_be_free
from streamgauge.rundir.runs import RUN, STREAMS, RecordReader, RecordWriter, RunFile
from streamgauge.units import MS
from streamgauge.version import __version__
from tests.builders.client_lag import row, stream


def record(stream_id: str) -> StreamRecord:
    return StreamRecord(schema=SCHEMA, id=stream_id, outcome=Outcome.OK, method="GET", url="u", start_ns=1)


def ids(reader: RecordReader) -> list[str]:
    return [item.id for item in reader.new()]


def test_a_reader_follows_a_writer(tmp_path: Path) -> None:
    reader = RecordReader(tmp_path)
    assert ids(reader) == []

    writer = RecordWriter(tmp_path)
    writer.add(record("a"))
    writer.add(record("b"))
    assert ids(reader) == ["a", "b"]
    assert ids(reader) == []

    writer.add(record("c"))
    writer.close()
    assert ids(reader) == ["c"]
    assert reader.torn == 0


def test_an_unfinished_last_line_waits_for_its_rest(tmp_path: Path) -> None:
    line = msgspec.json.encode(record("a")) + b"\n"
    reader = RecordReader(tmp_path)
    with (tmp_path / STREAMS).open("ab", buffering=0) as file:
        file.write(line[:20])
        assert ids(reader) == []
        file.write(line[20:])
        assert ids(reader) == ["a"]
    assert reader.torn == 0


def test_a_torn_last_line_is_counted_and_costs_nothing_else(tmp_path: Path) -> None:
    line = msgspec.json.encode(record("a")) + b"\n"
    (tmp_path / STREAMS).write_bytes(line + line + line[:-1])
    reader = RecordReader(tmp_path)
    assert [item.id for item in reader] == ["a", "a"]
    assert reader.torn == 1


@pytest.mark.parametrize(
    "damage", [b'{"id": "x", "outc', b"\0\0\0\0", b'{"id":"\xff"}', b"", b'{"id":"x"}', b"[" * 100_000]
)
def test_a_torn_line_in_the_middle_is_counted_and_skipped(tmp_path: Path, damage: bytes) -> None:
    line = msgspec.json.encode(record("a")) + b"\n"
    (tmp_path / STREAMS).write_bytes(line + damage + b"\n" + line)
    reader = RecordReader(tmp_path)
    assert [item.id for item in reader] == ["a", "a"]
    assert reader.torn == 1


def test_no_file_is_no_records(tmp_path: Path) -> None:
    reader = RecordReader(tmp_path)
    assert list(reader) == []
    assert reader.torn == 0


_APPEND = """
import sys
from pathlib import Path
from streamgauge.protocol.record import SCHEMA, Reads, StreamRecord
from streamgauge.rundir.runs import RecordWriter
from streamgauge.protocol.outcome import Outcome
name, count, size = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
writer = RecordWriter(Path(sys.argv[1]))
sys.stdin.readline()
for n in range(count):
    reads = Reads(list(range(size)), [n] * size, [1] * size)
    try:
        known = dict(outcome=Outcome.OK, method="GET", url="u", start_ns=1, reads=reads)
        writer.add(StreamRecord(schema=SCHEMA, id=f"{name}{n}", **known))
    except OSError as error:
        print(n, error.strerror)
        break
"""


def appender(directory: Path, name: str, count: int, size: int, prelude: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", prelude + _APPEND, str(directory), name, str(count), str(size)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_two_processes_that_append_at_once_keep_every_line_whole(tmp_path: Path) -> None:
    writers = [appender(tmp_path, name, 400, 2000) for name in "ab"]  # lines of ~20 KB, above any pipe's atomic size
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0

    reader = RecordReader(tmp_path)
    found = [item.id for item in reader]
    assert reader.torn == 0
    assert sorted(found) == sorted(f"{name}{n}" for name in "ab" for n in range(400))
    for name in "ab":
        assert [item for item in found if item.startswith(name)] == [f"{name}{n}" for n in range(400)]


def test_a_full_disk_is_reported_with_the_record_that_did_not_fit(tmp_path: Path) -> None:
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
    said, _ = appender(tmp_path, "a", 100, 100, limit).communicate("go\n")
    failed = int(said.split()[0])

    reader = RecordReader(tmp_path)
    assert [item.id for item in reader] == [f"a{n}" for n in range(failed)]
    assert reader.torn == 1


def manifest(status: str = "running") -> RunFile:
    return RunFile(command="load", target="http://h/", started="now", status=status)


def test_a_file_of_the_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    runs.write(tmp_path / RUN, manifest())
    assert runs.read_file(tmp_path / RUN, RunFile) == manifest()
    assert runs.read_file(tmp_path / "nothing.json", RunFile) is None


def test_a_file_is_replaced_whole_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / RUN
    runs.write(path, manifest())
    with path.open("rb") as old:
        runs.write(path, manifest("complete"))
        # Whoever had the old file open still reads all of the old one: it was replaced, not overwritten.
        assert msgspec.json.decode(old.read(), type=RunFile).status == "running"
    assert (runs.read_file(path, RunFile) or manifest()).status == "complete"
    assert [item.name for item in tmp_path.iterdir()] == [RUN]


@pytest.mark.parametrize("content", [b"", b"{", b'{"command": 5}', b'{"command":"\xff"}'])
def test_a_file_that_does_not_fit_is_a_usage_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / RUN).write_bytes(content)
    with pytest.raises(UsageError, match=RUN):
        runs.read_file(tmp_path / RUN, RunFile)


def test_a_run_removes_an_earlier_load_and_keeps_the_verdicts(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "run"
    with runs.claimed(directory):
        for name in (STREAMS, RUN, runs.CHECKS, runs.DIAGNOSIS):
            (directory / name).write_text("{}")

    with runs.claimed(directory):
        pass
    assert sorted(item.name for item in directory.iterdir()) == sorted([runs.CHECKS, runs.DIAGNOSIS])


def test_a_place_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError, match="cannot write to") as caught, runs.claimed(place):
            pass
        assert "--out" in (caught.value.hint or "")


def test_looking_whether_a_run_could_be_written_makes_and_removes_nothing(tmp_path: Path) -> None:
    (tmp_path / RUN).write_text("{}")
    (tmp_path / "file").write_text("")
    runs.must_take_a_run(tmp_path)
    runs.must_take_a_run(tmp_path / "not" / "yet")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", RUN]
    with pytest.raises(UsageError, match="file is not a directory"):
        runs.must_take_a_run(tmp_path / "file" / "below")


def test_a_second_run_into_the_same_directory_is_refused_and_removes_nothing(tmp_path: Path) -> None:
    with runs.claimed(tmp_path):
        (tmp_path / STREAMS).write_text("{}\n")
        with pytest.raises(UsageError, match="another run is writing there"), runs.claimed(tmp_path):
            pass
        with pytest.raises(UsageError, match="another run is writing there"):
            must_be_free(tmp_path)
        assert (tmp_path / STREAMS).exists()
    must_be_free(tmp_path)
    must_be_free(tmp_path / "not" / "yet")


def test_a_child_process_that_lives_keeps_the_claim(tmp_path: Path) -> None:
    with runs.claimed(tmp_path) as claim:
        child = subprocess.Popen(["sleep", "60"], pass_fds=[claim.descriptor])
    try:
        with pytest.raises(UsageError, match="another run is writing there"):
            must_be_free(tmp_path)
    finally:
        child.kill()
        child.wait()
    must_be_free(tmp_path)


@pytest.mark.parametrize("remade", [False, True])
def test_a_run_notices_that_its_directory_was_removed(tmp_path: Path, remade: bool) -> None:
    directory = tmp_path / "run"
    with runs.claimed(directory) as claim:
        assert claim.lost is None
        directory.rename(tmp_path / "moved")
        if remade:
            directory.mkdir()
        assert claim.lost == f"the run directory {directory} was removed or moved"


def test_records_and_accounts_are_read_on_after_their_directory_was_removed(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    recorder = runs.Recorder(directory)
    reader, accounts = RecordReader(directory, keep_open=True), AccountReader(directory)
    recorder.start()
    recorder.add(record("a"))
    assert [one.id for one in reader.new()] == ["a"]
    assert [one.recorded for one in accounts.read()] == [1]
    shutil.rmtree(directory)
    recorder.start()
    recorder.add(record("b"))
    assert [one.id for one in reader.new()] == ["b"]
    assert [one.recorded for one in accounts.read()] == [2]
    reader.close()
    accounts.close()


def test_a_nearly_full_disk_is_told_from_one_with_room(tmp_path: Path) -> None:
    assert runs.no_room(tmp_path, 0) is None
    assert "left" in (runs.no_room(tmp_path, 2**62) or "")


def test_every_line_says_which_schema_it_follows(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path)
    writer.add(record("a"))
    writer.close()

    assert json.loads((tmp_path / STREAMS).read_text())["schema"] == SCHEMA


def test_each_process_is_known_by_its_last_row_and_a_torn_one_is_left_out(tmp_path: Path) -> None:
    assert runs.workers(tmp_path) == []
    for one in (row(1, 10), row(2, 10), row(1, 20)):
        runs.write_worker(tmp_path, one)
    (tmp_path / runs.WORKERS / "3.json").write_bytes(b'{"worker":3,"wall_ns":')
    assert [(one.worker, one.wall_ns) for one in runs.workers(tmp_path)] == [(1, 20), (2, 10)]
    with runs.claimed(tmp_path):
        pass
    assert runs.workers(tmp_path) == []


def test_the_rows_of_a_process_take_no_more_room_than_the_last_one(tmp_path: Path) -> None:
    for second in range(1, 100):
        runs.write_worker(tmp_path, row(1, second))

    (file,) = (tmp_path / runs.WORKERS).iterdir()
    assert file.read_bytes() == msgspec.json.encode(row(1, 99))


def test_a_row_does_not_bring_a_removed_run_directory_back(tmp_path: Path) -> None:
    runs.write_worker(tmp_path / "removed", row(1, 10))

    assert not (tmp_path / "removed").exists()


def test_an_outline_is_the_record_without_its_events(tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path)
    first, second = stream((200, 0.1, 1)), stream((200, 0.1, 1), closed_ns=300 * MS, outcome=Outcome.TRUNCATED)
    writer.add(first)
    writer.add(second)
    writer.close()
    with (tmp_path / runs.STREAMS).open("ab") as file:
        file.write(b"{broken}\n")
    assert [(one.outcome, one.start_ns, one.left_ns) for one in runs.outlines(tmp_path)] == [
        (Outcome.OK, first.start_ns, first.start_ns + 200 * MS + 1),
        (Outcome.TRUNCATED, second.start_ns, second.start_ns + 300 * MS),
    ]


def test_a_verdict_is_kept_in_a_directory_that_is_made_for_it(tmp_path: Path) -> None:
    run = runs.RunFile(command="load", target="http://x/", started="now")

    kept = runs.keep(tmp_path / "new" / "run", runs.RUN, run)

    assert runs.read_file(kept, runs.RunFile) == run
    with pytest.raises(UsageError, match="cannot write to"):
        runs.keep(kept, runs.RUN, run)


@pytest.mark.parametrize("name", [RUN, runs.CHECKS, runs.CANCELLATION, runs.DIAGNOSIS, runs.WINDOW])
def test_a_file_of_a_newer_version_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"schema": 99, "streamgauge": "7.1.0", "anything": "else"}')

    with pytest.raises(
        UsageError, match=rf"{name} has schema 99, and streamgauge {__version__} reads schema 1"
    ) as error:
        runs.read_file(tmp_path / name, RunFile)

    assert error.value.hint == "streamgauge 7.1.0 wrote it: read it with that version, or upgrade this one"


@pytest.mark.parametrize("schema", ["0", "2", "-1"])
@pytest.mark.parametrize("rest", [b"", b', "outcome": "an outcome of tomorrow"'])
def test_records_of_another_version_are_refused_and_end_no_run(tmp_path: Path, schema: str, rest: bytes) -> None:
    line = msgspec.json.encode(record("a"))
    other = line.replace(b'{"schema":1', b'{"schema":' + schema.encode() + rest)
    (tmp_path / STREAMS).write_bytes(line + b"\n" + other + b"\n")

    with pytest.raises(UsageError, match=f"has schema {schema}"):
        list(RecordReader(tmp_path))

    running = RecordReader(tmp_path)
    assert ids(running) == ["a"]
    assert running.torn == 1


@pytest.mark.parametrize("name", [RUN, STREAMS, runs.WINDOW, f"{runs.WORKERS}/1.json"])
@pytest.mark.parametrize("kind", ["directory", "pipe", "device", "loop"])
def test_a_file_of_a_run_is_a_regular_file_or_one_message(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path)

    if name.startswith(runs.WORKERS):  # rows about this client: without them a run is still reported
        assert runs.workers(tmp_path) == []
        return
    with pytest.raises(UsageError, match=f"{name} cannot be read"):
        _ = list(RecordReader(tmp_path)) if name == STREAMS else runs.read_file(path, RunFile)


def test_a_pipe_with_the_name_of_a_file_of_the_run_is_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / RUN)
    runs.write(tmp_path / RUN, manifest())
    assert runs.read_file(tmp_path / RUN, RunFile) == manifest()


def test_a_record_behind_the_piece_of_another_is_not_lost(tmp_path: Path) -> None:
    """A full disk cuts a line, and another process appends its record to the piece."""
    line = msgspec.json.encode(record("a")) + b"\n"
    (tmp_path / STREAMS).write_bytes(line[:30] + line + line[:-3] + line)

    reader = RecordReader(tmp_path)

    assert ids(reader) == ["a", "a"]
    assert reader.torn == 2


def test_a_line_without_an_end_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MAX_RECORD_BYTES", 1000)
    line = msgspec.json.encode(record("a")) + b"\n"
    (tmp_path / STREAMS).write_bytes(line + b"x" * 5000 + b"\n" + line + b"y" * 1000 + b"\n" + b"z" * 5000)

    reader = RecordReader(tmp_path)

    assert [item.id for item in reader] == ["a", "a"]
    assert reader.torn == 3


@pytest.mark.parametrize(
    "change",
    [
        {"token_reads": [0, 1, 7]},
        {"token_reads": [-1]},
        {"reads": Reads([1, 2], [0], [1, 1])},
        {"reads": Reads([1, 2], [0, 0], [1])},
        {"waits": Waits([0], [])},
        {"waits": Waits([9], [1])},
    ],
)
def test_a_record_that_contradicts_itself_is_torn(tmp_path: Path, change: dict[str, Any]) -> None:
    whole = msgspec.structs.replace(record("a"), reads=Reads([1, 2], [0, 0], [1, 1]), token_reads=[0, 1])
    writer = RecordWriter(tmp_path)
    writer.add(whole)
    writer.add(msgspec.structs.replace(whole, **change))

    reader = RecordReader(tmp_path)

    assert ids(reader) == ["a"]
    assert reader.torn == 1


def test_a_run_directory_that_cannot_exist_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write to"):
        runs.must_take_a_run(tmp_path / ("a" * 300))
