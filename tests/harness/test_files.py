"""Files that the user named."""

from pathlib import Path

import pytest

from streamgauge.files import read_file, replacing


def test_a_file_is_read_whole_up_to_its_bound_and_no_further(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")

    assert read_file(path, most_bytes=5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 B"):
        read_file(path, most_bytes=4)


def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(OSError, match="larger than"):
        read_file(Path("/dev/zero"), most_bytes=1000)


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
