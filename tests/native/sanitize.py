"""Builds the stress test of the native reader's core (stress.c), and runs it under one tool after another; then feeds
damaged bodies to the chunk cutter under AddressSanitizer and UBSan.
"""

# ruff: noqa: T201 (a script: printing is what it does)

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from tests.builders.locks import ROOT

SOURCES: Final = (ROOT / "tests/native/stress.c", ROOT / "harness/transport/reader_core.c")
FLAGS: Final = ("-std=c11", "-g", "-Wall", "-Wextra", "-Werror", "-pthread", "-Wl,--wrap=realloc")


class Tool(NamedTuple):
    """How to build the test, and how to run it; it ends with another code than 0 when the tool finds something."""

    flags: tuple[str, ...]
    wrapper: tuple[str, ...] = ()
    streams: int = 10_000


TOOLS: Final = {
    "plain": Tool(("-O2",)),
    "thread": Tool(("-O1", "-fsanitize=thread")),
    "address": Tool(("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")),
    "valgrind": Tool(
        ("-O1",),
        ("valgrind", "-q", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=all",
         "--errors-for-leak-kinds=all", "--track-fds=no", "--child-silent-after-fork=yes"),
    ),
}  # fmt: skip
# Without memory trouble, and with every 20th allocation failing.
SCARCITIES: Final = (0, 20)


def build(tool: Tool, folder: Path) -> Path | None:
    """The program; None where it cannot be built: no compiler, or no library of the sanitizer."""
    if shutil.which("cc") is None or (tool.wrapper and shutil.which(tool.wrapper[0]) is None):
        return None
    program = folder / "stress"
    trial = subprocess.run(["cc", *tool.flags, "-xc", "-", "-o", program], input=b"int main(void) { return 0; }",
                           capture_output=True, check=False)  # fmt: skip
    if trial.returncode != 0:
        return None
    subprocess.run(["cc", *FLAGS, *tool.flags, *SOURCES, "-o", program], check=True)
    return program


def run(tool: Tool, program: Path, streams: int, seed: int, scarcity: int) -> "subprocess.CompletedProcess[str]":
    command = [*tool.wrapper, program, str(streams), str(seed), str(scarcity)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def cut_damaged_chunks(folder: Path) -> bool:
    """Whether the chunk cutter (chunks_fuzz.py) is clean, and said so."""
    module = folder / "_chunks.so"
    include = sysconfig.get_path("include")
    flags = ("-shared", "-fPIC", "-std=c11", "-g", "-DPy_LIMITED_API=0x030B0000", f"-I{include}")
    source = ROOT / "harness/transport/_chunksmodule.c"
    subprocess.run(["cc", *flags, *TOOLS["address"].flags, source, "-o", module], check=True)
    library = subprocess.check_output(["cc", "-print-file-name=libasan.so"], text=True).strip()
    # Python itself is not built for the sanitizer: it has to be loaded first, and cannot tell what Python leaks.
    environment = {**os.environ, "LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0"}
    command = [sys.executable, "-m", "tests.native.chunks_fuzz", module]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    print(f"chunk cutter: {'clean' if done.returncode == 0 else 'FAILED'}: {done.stdout.strip()}{done.stderr.strip()}")
    return done.returncode == 0


def main() -> int:
    failed = 0
    for name, tool in TOOLS.items():
        with tempfile.TemporaryDirectory() as folder:
            program = build(tool, Path(folder))
            if program is None:
                print(f"{name}: skipped, because it is not installed")
                continue
            for seed, scarcity in enumerate(SCARCITIES, start=1):
                done = run(tool, program, tool.streams, seed, scarcity)
                failed += done.returncode != 0
                verdict = "clean" if done.returncode == 0 else f"FAILED with code {done.returncode}"
                print(f"{name}: {verdict}: {done.stdout.strip()}", flush=True)
                if done.returncode != 0:
                    print(done.stderr.strip(), flush=True)
            if name == "address":
                failed += not cut_damaged_chunks(Path(folder))
    return failed


if __name__ == "__main__":
    sys.exit(main() != 0)
