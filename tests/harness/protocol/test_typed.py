"""Two threads may use a type for the first time at once, and no module goes past the lock that makes this safe."""

import re
import subprocess
import sys

import msgspec
import pytest

from streamgauge.protocol.typed import from_json, from_toml, from_value
from tests.builders.locks import ROOT

# The lookup of the inner type waits until another thread has tried to use the outer one, which then is half known.
RACE = """
import threading, msgspec
from streamgauge.protocol import typed

looking, tried = threading.Event(), threading.Event()

def slowly():
    looking.set()
    tried.wait(0.3)
    return int

class Inner(msgspec.Struct):
    number: "slowly()"

class Slow(msgspec.Struct):
    first: int
    inner: Inner
    second: int

def second():
    looking.wait(10)
    threading.Timer(0.1, tried.set).start()
    found.append({decode})

found = []
thread = threading.Thread(target=second)
thread.start()
found.append({decode})
thread.join()
print(found == [Slow(1, Inner(3), 2)] * 2)
"""


def race(decode: str) -> "subprocess.CompletedProcess[str]":
    code = RACE.replace("{decode}", decode)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "decode",
    [
        'typed.from_json(b\'{"first": 1, "inner": {"number": 3}, "second": 2}\', Slow)',
        "typed.from_toml('first = 1\\nsecond = 2\\ninner = {number = 3}', Slow)",
        "typed.from_value({'first': 1, 'inner': {'number': 3}, 'second': 2}, Slow)",
    ],
)
def test_the_first_use_of_a_type_by_two_threads_at_once_is_safe(decode: str) -> None:
    done = race(decode)

    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_without_the_lock_it_kills_the_interpreter() -> None:
    """So the test above can fail. When msgspec is mended, this test says that the lock can go."""
    assert race('msgspec.json.decode(b\'{"first": 1, "second": 2}\', type=Slow)').returncode < 0


class Small(msgspec.Struct):
    number: int


def test_what_does_not_fit_is_the_error_of_msgspec() -> None:
    assert from_json(b'{"number": 1}', Small) == from_toml("number = 1", Small) == from_value({"number": 1}, Small)
    for decode, content in (
        (from_json, b'{"number": "x"}'),
        (from_toml, 'number = "x"'),
        (from_value, {"number": "x"}),
    ):
        with pytest.raises(msgspec.ValidationError):
            decode(content, Small)  # type: ignore[operator]


UNGUARDED = re.compile(r"msgspec\.(?:json|toml|msgpack|yaml)\.Decoder\(|msgspec\.convert\(|\bdecode\([^\n]*, type=")


def test_no_other_module_decodes_into_a_type() -> None:
    files = [
        file
        for folder in ("harness", "scenarios", "reports", "mock_provider")
        for file in (ROOT / folder).rglob("*.py")
    ]
    found = {
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in files
        if file.name != "typed.py"
        for match in UNGUARDED.finditer(file.read_text(encoding="utf-8"))
    }

    assert found == set(), "use streamgauge.protocol.typed"
    assert len(files) > 300
