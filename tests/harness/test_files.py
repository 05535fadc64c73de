"""Files of this machine: what a path leads to is read within limits, and replaced whole or not at all."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from streamgauge.errors import UsageError
from streamgauge.files import (
    Patience,
    must_be_writable,
    open_regular,
    read_file,
    read_regular,
    replace_file,
    replacing,
    swap_in,
)


@pytest.mark.parametrize("read", [read_file, read_regular])
def test_a_file_is_read_whole_up_to_its_bound_and_no_further(tmp_path: Path, read: Callable[..., bytes]) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")

    assert read(path, most_bytes=5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 B"):
        read(path, most_bytes=4)


def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(OSError, match="larger than"):
        read_file(Path("/dev/zero"), most_bytes=1000)


def test_a_pipe_with_a_writer_is_read_to_its_end(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "pipe")
    writer = threading.Thread(target=path.write_bytes, args=(b"12" * 100_000,))
    writer.start()

    assert read_file(path) == b"12" * 100_000
    writer.join()


def test_a_pipe_without_a_writer_is_given_up(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "pipe")

    with pytest.raises(OSError, match="not a regular file, and brought nothing for 0 s"):
        read_file(path, patience=Patience(silence_s=0.1))


def test_a_pipe_that_does_not_end_is_given_up() -> None:
    with subprocess.Popen(["sh", "-c", "while echo x; do sleep 0.02; done"], stdout=subprocess.PIPE) as drip:
        assert drip.stdout is not None

        with pytest.raises(OSError, match="had no end"):
            read_file(Path(f"/dev/fd/{drip.stdout.fileno()}"), patience=Patience(total_s=0.2))
        drip.kill()


def test_only_a_regular_file_is_opened_as_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path, "a directory"), (tmp_path / "pipe", "a pipe"), (Path("/dev/zero"), "a device")):
        with pytest.raises(OSError, match=f"it is {kind}, not a regular file"):
            open_regular(path)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "nothing")


def write_half(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("new")
        raise ValueError("half")


def test_what_is_not_written_to_its_end_replaces_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    with pytest.raises(ValueError, match="half"):
        write_half(path)

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_that_others_planted_leads_the_content_nowhere(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "report.json").symlink_to(victim)
    (tmp_path / f".report.json.{os.getpid()}").symlink_to(victim)

    replace_file(tmp_path / "report.json", b"new")

    assert victim.read_text() == "mine"
    assert (tmp_path / "report.json").read_text() == "new"


def test_the_longest_name_of_a_file_can_be_replaced(tmp_path: Path) -> None:
    replace_file(tmp_path / ("a" * 255), b"new")
    assert (tmp_path / ("a" * 255)).read_bytes() == b"new"


def test_a_pipe_from_which_nobody_reads_is_a_usage_error(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "pipe")
    with pytest.raises(UsageError, match="nobody reads from this pipe"):
        replace_file(path, b"new")


def test_a_pipe_with_a_reader_gets_the_content(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    for _ in range(200):
        with suppress(OSError):  # the reader has not opened it yet
            swap_in(path, b"12" * 100_000)
            break
        time.sleep(0.05)
    reader.join(10)
    assert got == [b"12" * 100_000]


def test_the_standard_output_is_written_and_its_name_is_not_replaced(tmp_path: Path) -> None:
    """Redirected to a file, /dev/stdout leads to a regular file; root would have replaced the link in /dev."""
    program = (
        "from pathlib import Path; from streamgauge.files import replace_file\n"
        "print('before', flush=True); replace_file(Path('/dev/stdout'), b'new\\n')"
    )
    with (tmp_path / "out").open("w") as file:
        subprocess.run([sys.executable, "-c", program], stdout=file, check=True)

    assert (tmp_path / "out").read_text() == "before\nnew\n"
    assert Path("/dev/stdout").is_symlink()


@pytest.mark.parametrize("name", ["a" * 300, "there/no/file", ".", "loop"])
def test_a_path_that_cannot_be_written_is_known_before_the_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    path = tmp_path / ("loop/file" if name == "loop" else name)
    with pytest.raises(UsageError, match="cannot write"):
        must_be_writable(path)
