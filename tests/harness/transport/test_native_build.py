"""The native reader is optional: an install succeeds without it, and the program says what is missing."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from streamgauge.transport import chunks_fast, native
from tests.builders.locks import ROOT
from tests.builders.packages import build_wheel, copy_sources

PROGRAM = "from streamgauge.transport import native; print(native.__file__, native.READER, native.WHY_NOT, sep='\\n')"


def test_an_install_without_a_compiler_succeeds_and_says_what_to_do(tmp_path: Path) -> None:
    with zipfile.ZipFile(build_wheel(copy_sources(tmp_path), tmp_path, CC="/bin/false")) as wheel:
        wheel.extractall(tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    file, reader, why_not = done.stdout.splitlines()

    assert Path(file).is_relative_to(tmp_path)
    assert reader == "None"
    assert why_not.startswith("the native reader was not built when Streamgauge was installed: install a C compiler")


@pytest.mark.parametrize("name", ["_readermodule.c", "reader_core.c", "_chunksmodule.c"])
def test_the_sources_compile_without_a_warning(name: str, tmp_path: Path) -> None:
    if native.READER is None:
        pytest.skip(str(native.WHY_NOT))
    command = ["cc", "-std=c11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Werror", "-fPIC",
               "-DPy_LIMITED_API=0x030B0000", f"-I{sysconfig.get_path('include')}", "-c",
               str(ROOT / "harness/transport" / name), "-o", str(tmp_path / "object")]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_native_reader_can_be_switched_off() -> None:
    assert native.load({"STREAMGAUGE_READER": "python"}) == (
        None,
        "the native reader is switched off by STREAMGAUGE_READER=python",
    )


def test_other_systems_than_linux_are_told_so() -> None:
    assert native.load({}, "darwin") == (None, "the native reader needs Linux (epoll, eventfd, timerfd)")


def test_without_the_module_in_c_chunks_are_cut_in_python() -> None:
    assert native.load_cut({"STREAMGAUGE_READER": "python"}) is None
    assert chunks_fast.cut is (native.CUT or chunks_fast.cut_in_python)


def test_there_is_a_reader_or_a_reason() -> None:
    assert (native.READER is None) == (native.WHY_NOT is not None)
