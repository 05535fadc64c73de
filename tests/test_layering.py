"""The import table of design.md section 2, asserted: every module has a layer, and imports only what its layer may."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("harness", "scenarios", "mock_provider", "reports")

# The most specific pattern of a module decides, so a new module that none covers fails the test.
LAYERS = {
    "values": ["harness", "harness.errors", "harness.foreign", "harness.units", "harness.wire", "harness.secrets",
               "harness.files"],
    "protocol": [
        "harness.eventstream", "harness.encoding", "harness.dialects", "harness.dialects.*", "harness.stream",
        "harness.record", "harness.histogram", "harness.schedule", "harness.replay", "harness.workload",
        "harness.clocks", "harness.shipping", "harness.workers",
        "harness.prompts.lengths", "harness.prompts.words", "harness.prompts.files",
    ],
    "judgement": [
        "harness.metrics", "harness.distributions", "harness.summary", "harness.slo", "harness.validity",
        "harness.calibration", "harness.buffering",
        "harness.cancellation", "harness.comparison", "harness.culprits", "harness.timeline", "harness.abort",
        "harness.openloop", "harness.abandonment", "harness.live", "harness.conformance", "harness.conformance.*",
    ],
    "io": ["harness.transport", "harness.transport.*", "harness.client", "harness.target", "harness.subject",
           "harness.truth", "harness.prompts", "harness.prompts.tokenizer"],
    "store": ["harness.runs", "harness.accounts", "harness.baselines"],
    "clients": ["harness.clients", "harness.clients.*"],
    "compat": ["harness.compat", "harness.reading"],
    "procedures": ["harness.lockstep", "harness.cancelling", "harness.diagnosing", "harness.checking",
                   "harness.side_by_side", "harness.plays", "harness.plays.*"],
    "programs": ["harness.cli", "harness.cli.*"],
    "plugin": ["streamgauge_pytest", "harness.pytest_streams"],
    "scenarios": ["scenarios", "scenarios.*"],
    "mock": ["mock_provider", "mock_provider.*"],
    "reports": ["reports", "reports.*"],
}  # fmt: skip

MAY_IMPORT = {
    "values": {"values"},
    "protocol": {"values", "protocol"},
    "judgement": {"values", "protocol", "judgement"},
    "io": {"values", "protocol", "io"},
    "store": {"values", "protocol", "judgement", "store"},  # run.json holds the summary, so it knows its type
    "clients": {"values", "protocol", "clients"},
    "compat": {"values", "protocol", "judgement", "clients", "compat"},
    "procedures": {"values", "protocol", "judgement", "io", "compat", "procedures"},
    "programs": {"values", "protocol", "judgement", "io", "store", "compat", "procedures", "programs", "mock"},
    "plugin": {"values", "protocol", "judgement", "io", "store", "procedures", "plugin", "mock"},
    "scenarios": {"values", "protocol", "judgement", "io", "store", "scenarios"},
    "mock": {"mock"},
    "reports": {"values", "protocol", "judgement", "store", "reports"},
}

# Third-party packages by layer; standard library modules are free but for IO below.
THIRD_PARTY = {
    "values": set(),
    "protocol": {"msgspec", "brotli", "zstandard"},
    "judgement": {"msgspec", "jsonschema", "referencing"},
    "io": {"httpx", "h2", "httptools", "msgspec", "tiktoken", "tokenizers"},
    "store": {"msgspec"},
    "clients": {"httpx", "httpx2", "httpx_sse", "openai", "anthropic", "google", "ollama"},
    "compat": {"msgspec"},
    "procedures": {"msgspec"},
    "programs": {"msgspec", "rich", "typer"},
    "plugin": {"msgspec", "pytest"},
    "scenarios": {"locust", "gevent", "flask", "msgspec", "rich"},
    "mock": {"httptools", "trustme", "uvloop", "typer", "rich"},
    "reports": {"pandas", "matplotlib", "pyarrow", "jinja2", "markupsafe", "msgspec", "numpy"},
}

PURE = {"values", "protocol", "judgement", "clients", "compat"}
IO_MODULES = {"socket", "ssl", "select", "selectors", "asyncio", "threading", "multiprocessing", "subprocess", "time",
              "signal", "http", "urllib.request", "socketserver", "tempfile", "shutil"}  # fmt: skip


class Import(NamedTuple):
    name: str
    lazy: bool
    line: int


def modules() -> dict[str, Path]:
    found = {path.stem: path for path in ROOT.glob("*.py")}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def layer_of(name: str) -> str | None:
    matching = [
        (len(pattern), layer)
        for layer, patterns in LAYERS.items()
        for pattern in patterns
        if fnmatchcase(name, pattern)
    ]
    return max(matching)[1] if matching else None


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


def violations(name: str, source: str) -> list[str]:
    layer = layer_of(name)
    assert layer is not None
    found = []
    for item in imports(source):
        top = item.name.partition(".")[0]
        where = f"{name}:{item.line} imports {item.name}"
        if top in PACKAGES:
            other = layer_of(item.name)
            if layer in ("programs", "plugin") and top in ("reports", "scenarios"):
                if not item.lazy:
                    found.append(f"{where} when it is loaded; programs do so inside the command that needs it")
            elif other not in MAY_IMPORT[layer]:
                found.append(f"{where}: {layer} may not import {other}")
        elif top in sys.stdlib_module_names:
            if layer in PURE and (top in IO_MODULES or item.name in IO_MODULES):
                found.append(f"{where}: {layer} does no IO")
        elif top not in THIRD_PARTY[layer]:
            found.append(f"{where}: not among the packages of {layer}")
    return found


def test_every_module_has_a_layer() -> None:
    assert [name for name in MODULES if layer_of(name) is None] == []


def test_every_row_of_the_table_names_something_that_exists() -> None:
    patterns = [pattern for patterns in LAYERS.values() for pattern in patterns]
    assert [p for p in patterns if not any(fnmatchcase(name, p) for name in MODULES)] == []


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_what_its_layer_may(name: str) -> None:
    assert violations(name, MODULES[name].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("harness.stream", "import socket"),
        ("harness.eventstream", "from time import monotonic_ns"),
        ("harness.metrics", "def f():\n    import httpx"),
        ("harness.dialects.raw_text", "from harness.client import StreamClient"),
        ("harness.wire", "import msgspec"),
        ("harness.units", "from harness import stream"),
        ("harness.client", "from harness.summary import Totals"),
        ("harness.client", "import locust"),
        ("harness.cli.load", "import reports.render"),
        ("harness.cli.load", "from scenarios import chat"),
        ("harness.cli.load", "def f():\n    import pandas"),
        ("mock_provider.plan", "from harness.units import MS"),
        ("reports.render", "import gevent"),
        ("reports.render", "from harness.client import StreamClient"),
        ("scenarios.chat", "import matplotlib.pyplot"),
        ("harness.slo", "try:\n    import ssl\nexcept ImportError:\n    pass"),
    ],
)
def test_the_table_refuses_what_it_should(name: str, source: str) -> None:
    assert len(violations(name, source)) == 1


def test_a_module_outside_the_table_is_noticed() -> None:
    assert layer_of("harness.brand_new") is None


def test_importing_the_harness_does_not_patch_the_process() -> None:
    program = (
        "import sys, harness.cli; "
        "print([name for name in ('gevent', 'locust', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
