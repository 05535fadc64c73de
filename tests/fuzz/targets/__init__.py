"""What is fuzzed. A new target is a function, a `Target` of it, and a line in TARGETS."""

from importlib import import_module
from typing import Final

from tests.fuzz.targets.choices import Target

# By module and name: a fuzzing process imports, and instruments, only what its own target runs.
TARGETS: Final = {
    "eventstream": ("wire", "EVENTSTREAM"),
    "response": ("wire", "RESPONSE"),
    "encodings": ("wire", "ENCODINGS"),
    "http2": ("http2", "HTTP2"),
    "reader": ("native", "READER_CALLS"),
    "chunks": ("native", "CHUNKS"),
    "dialects": ("judging", "DIALECTS"),
    "judgement": ("judging", "JUDGEMENT"),
    "clients": ("judging", "REPLAYS"),
    "texts": ("judging", "TEXTS"),
    "objectives": ("inputs", "OBJECTIVES"),
    "options": ("inputs", "OPTIONS"),
    "target-files": ("inputs", "TARGET_FILES"),
    "traces": ("inputs", "TRACES"),
    "records": ("rundir", "RECORDS"),
    "run-files": ("rundir", "RUN_FILES"),
    "directives": ("mock", "DIRECTIVES"),
    "mock": ("mock", "CONNECTIONS"),
}


def target(name: str) -> Target:
    """The target of that name; imports it."""
    module, attribute = TARGETS[name]
    found = getattr(import_module(f"tests.fuzz.targets.{module}"), attribute)
    assert isinstance(found, Target)
    return found
