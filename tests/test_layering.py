"""The rooms of the house and what each may import: a row a folder, so that a new file needs no entry.

The direction is docs/architecture.md's: socket, reads, events, deltas, record, judgement, report.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Where each package lies, the longest name first.
FOLDERS = {
    "streamgauge.mock_provider": "mock_provider",
    "streamgauge.reports": "reports",
    "streamgauge.scenarios": "scenarios",
    "streamgauge": "harness",
}


class Room(NamedTuple):
    """A folder: the rooms below it that it may import, its third-party packages, and the modules of it that do IO.

    `lazy` are rooms that it may import inside a function only.
    """

    below: tuple[str, ...]
    packages: frozenset[str] = frozenset()
    io: tuple[str, ...] = ()
    lazy: tuple[str, ...] = ()


def of(text: str) -> frozenset[str]:
    return frozenset(text.split())


VALUES = ("values",)
PROTOCOL = (*VALUES, "protocol")
ENDPOINT = (*PROTOCOL, "transport", "endpoint")
METRICS = (*PROTOCOL, "metrics")
DIAGNOSIS = (*ENDPOINT, "metrics", "diagnosis")
RUNDIR = (*METRICS, "diagnosis", "conformance", "serverlane", "rundir")
EVERYTHING = (*DIAGNOSIS, "conformance", "serverlane", "rundir", "comparing", "loadgen", "capacity")
ANY_IO = ("*",)

# In the order in which data flows; `values` are the modules that lie flat at the root.
ROOMS = {
    "values": Room((), io=("files", "steady")),
    "transport": Room(VALUES, of("httpx h2 httptools"), ANY_IO),
    "protocol": Room(VALUES, of("msgspec brotli zstandard"), io=("typed",)),  # a lock, and nothing else
    "endpoint": Room(("transport", *PROTOCOL), of("httpx msgspec"), ANY_IO),
    "metrics": Room(PROTOCOL, of("msgspec")),
    "diagnosis": Room((*ENDPOINT, "metrics"), of("msgspec"),
                      ("buffering", "cancel", "cancel_matrix", "diagnose", "lockstep")),
    "conformance": Room(
        DIAGNOSIS,
        of("msgspec jsonschema referencing httpx httpx2 httpx_sse openai anthropic google ollama"),
        ("batch", "check", "daemon_threads", "dead_end", "run", "scenarios.*"),
    ),
    "serverlane": Room(ENDPOINT, of("msgspec httpx"), ("reset", "samples", "scrape")),
    "rundir": Room((*METRICS, "diagnosis", "serverlane"), of("msgspec"), ANY_IO),
    "comparing": Room((*DIAGNOSIS, "conformance", "serverlane", "rundir"), of("msgspec"), ("baseline", "overhead")),
    "loadgen": Room((*DIAGNOSIS, "conformance", "serverlane", "rundir"), of("msgspec tiktoken tokenizers"),
                    ("cluster", "drive", "ledger", "load", "locust_process", "orphans", "prompts", "prompts.*", "run")),
    "capacity": Room((*ENDPOINT, "metrics", "serverlane", "rundir", "loadgen"), of("msgspec"),
                     ("drain", "history", "measure", "run")),
    "cli": Room((*EVERYTHING, "mock"), of("msgspec rich typer"), ANY_IO, lazy=("reports", "scenarios")),
    "doors": Room((*EVERYTHING, "mock", "cli"), of("msgspec pytest"), ANY_IO, lazy=("reports", "scenarios")),
    "scenarios": Room(EVERYTHING, of("locust gevent zmq flask msgspec rich"), ANY_IO),
    "reports": Room((*RUNDIR, "comparing", "capacity"), of("pandas matplotlib pyarrow jinja2 markupsafe msgspec numpy"),
                    ANY_IO),
    "mock": Room((), of("httptools trustme uvloop typer rich"), ANY_IO),
}  # fmt: skip

# The other modules at the root: nothing of the house imports them.
DOORS = {"streamgauge", "streamgauge.__main__", "streamgauge.pytest_plugin", "streamgauge.pytest_fixtures"}

IO_MODULES = {"socket", "ssl", "select", "selectors", "asyncio", "threading", "multiprocessing", "subprocess", "time",
              "signal", "http", "urllib.request", "socketserver", "tempfile", "shutil"}  # fmt: skip


class Import(NamedTuple):
    name: str
    lazy: bool
    line: int


def modules() -> dict[str, Path]:
    found = {}
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))] = path
    return found


MODULES = modules()


def room_of(name: str) -> str | None:
    """The room of a module, by where it lies; None where there is none, such as a new folder."""
    if name in DOORS:
        return "doors"
    parts = name.split(".")[1:]
    if parts[0] == "mock_provider":
        return "mock"
    flat = len(parts) == 1 and not (ROOT / "harness" / parts[0]).is_dir() and parts[0] not in ROOMS
    room = "values" if flat else parts[0]
    return room if room in ROOMS else None


def imports(source: str) -> list[Import]:
    """Every import of a module; `lazy` when it runs only inside a function. Type-checking imports never run."""
    return list(_imports(ast.parse(source), lazy=False))


def _imports(node: ast.AST, *, lazy: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, lazy, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute here"
            base = child.module or ""
            for alias in child.names:
                full = f"{base}.{alias.name}"
                yield Import(full if full in MODULES else base, lazy, child.lineno)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            yield from (item for part in child.orelse for item in _imports(part, lazy=lazy))
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, lazy=lazy or inside)


def folder_of(room: str) -> str:
    return "streamgauge" if room == "values" else f"streamgauge.{room}"


def violations(name: str, source: str) -> list[str]:
    own = room_of(name)
    assert own is not None, f"{name} lies in no room: give its folder a row in tests/test_layering.py"
    room = ROOMS[own]
    inner = name.removeprefix(folder_of(own)).lstrip(".")
    does_io = any(fnmatchcase(inner, pattern) for pattern in room.io)
    found = []
    for item in imports(source):
        top = item.name.partition(".")[0]
        where = f"{name}:{item.line} imports {item.name}"
        if top == "streamgauge":
            other = room_of(item.name)
            if other in room.lazy:
                if not item.lazy:
                    found.append(f"{where} when it is loaded; {own} does so inside the function that needs it")
            elif other != own and other not in room.below:
                found.append(f"{where}: {own} may not import {other}")
        elif top in sys.stdlib_module_names:
            if not does_io and (top in IO_MODULES or item.name in IO_MODULES):
                found.append(f"{where}: {own} does no IO here")
        elif top not in room.packages:
            found.append(f"{where}: not among the packages of {own}")
    return found


def test_every_module_lies_in_a_room() -> None:
    assert [name for name in MODULES if room_of(name) is None] == []


def test_every_row_of_the_table_is_a_folder_and_every_named_module_exists() -> None:
    assert {room_of(name) for name in MODULES} == ROOMS.keys()
    named = [f"{folder_of(room)}.{one}" for room, row in ROOMS.items() for one in row.io if one != "*"]
    assert [one for one in named if not any(fnmatchcase(name, one) for name in MODULES)] == []
    assert MODULES.keys() >= DOORS


def test_the_rooms_are_in_one_order() -> None:
    """A room imports only from rows above its own, so no arrow points up."""
    order = list(ROOMS)
    harness = order[: order.index("cli") + 1]
    assert [(room, below) for room in harness for below in ROOMS[room].below
            if below != "mock" and order.index(below) > order.index(room)] == []  # fmt: skip


@pytest.mark.parametrize("room", ROOMS)
def test_the_modules_of_a_room_import_only_what_it_may(room: str) -> None:
    found = [
        line
        for name, path in MODULES.items()
        if room_of(name) == room
        for line in violations(name, path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("protocol.reader", "import socket"),
        ("protocol.eventstream", "from time import monotonic_ns"),
        ("metrics.summary", "def f():\n    import httpx"),
        ("protocol.dialects.raw_text", "from streamgauge.endpoint.client import StreamClient"),
        ("wire", "import msgspec"),
        ("units", "from streamgauge.protocol import reader"),
        ("endpoint.client", "from streamgauge.metrics.summary import Totals"),
        ("endpoint.client", "import locust"),
        ("cli.load", "import streamgauge.reports.render"),
        ("cli.load", "from streamgauge.scenarios import chat"),
        ("cli.load", "def f():\n    import pandas"),
        ("mock_provider.plan", "from streamgauge.units import MS"),
        ("mock_provider.plan", "from streamgauge import __version__"),
        ("reports.render", "import gevent"),
        ("reports.render", "from streamgauge.endpoint.client import StreamClient"),
        ("scenarios.chat", "import matplotlib.pyplot"),
        ("metrics.slo", "try:\n    import ssl\nexcept ImportError:\n    pass"),
        ("conformance.registry", "import threading"),
        ("conformance.checks.framing", "import socket"),
        ("diagnosis.patterns", "import time"),
        ("transport.exchange", "from streamgauge.protocol.reader import StreamReader"),
    ],
)
def test_the_table_refuses_what_it_should(name: str, source: str) -> None:
    assert len(violations(f"streamgauge.{name}", source)) == 1


def test_a_folder_without_a_row_is_noticed() -> None:
    assert room_of("streamgauge.brand_new.module") is None


def test_importing_the_harness_does_not_patch_the_process() -> None:
    program = (
        "import sys, streamgauge.cli; "
        "print([name for name in ('gevent', 'locust', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
