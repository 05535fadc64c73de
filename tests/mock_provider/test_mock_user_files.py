"""Files that the user names for the mock: a regular file is read within limits, anything else is one message."""

import os
from pathlib import Path

import pytest

from streamgauge.mock_provider.listening import Listening
from streamgauge.mock_provider.timing import trace
from streamgauge.mock_provider.user_files import MOST_CHARACTERS, read_text


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A named pipe that nobody writes to."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_a_text_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "say.txt"
    path.write_bytes("one\r\ntwo é".encode())
    assert read_text(path) == "one\ntwo é"


@pytest.mark.parametrize("read", [read_text, trace.load])
def test_neither_a_device_nor_a_pipe_nor_a_folder_is_read(read: object, tmp_path: Path, pipe: Path) -> None:
    assert callable(read)
    for path in (Path("/dev/zero"), pipe, tmp_path):
        with pytest.raises(ValueError, match="expected a regular file"):
            read(path)
    with pytest.raises(ValueError, match="No such file"):
        read(tmp_path / "missing")


def test_a_certificate_that_is_a_pipe_does_not_hang_the_start(pipe: Path) -> None:
    with pytest.raises(ValueError, match="expected a regular file"):
        Listening(tls_cert=str(pipe), tls_key=str(pipe)).prepare("127.0.0.1")


@pytest.mark.parametrize("start", ["x", "{"])
def test_a_text_or_a_line_without_an_end_is_refused(tmp_path: Path, start: str) -> None:
    path = tmp_path / "long"
    path.write_text(start + "1" * MOST_CHARACTERS)
    with pytest.raises(ValueError, match="more than"):
        read_text(path)
    with pytest.raises(ValueError, match="more than"):
        trace.load(path)


def test_a_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"a\xff")
    with pytest.raises(ValueError, match="not UTF-8"):
        read_text(path)
