"""docs/check-faults.md: what makes each check object. `make docs` writes it, tests compare it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from streamgauge.cli.reproduction import faults_of, reproduction_of
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.result import Verdict
from streamgauge.conformance.selection import select
from streamgauge.mock_provider.faults import FAULTS
from tests.harness.conformance.tapes import Example

_ROOT: Final = Path(__file__).parent.parent
_TESTS: Final = _ROOT / "tests"
FAULTS_PAGE: Final = _ROOT / "docs" / "check-faults.md"
_OPTINS: Final = "tests/harness/conformance/test_run_optins.py"
# What a fault does that takes a flag, a second user or many requests: another test shows it.
SHOWN_BY: Final = {
    ("crossed-streams", "limits.parallel-isolation"): _OPTINS,
    ("late-head", "flush.headers-early"): _OPTINS,
    ("leaks-slots", "cancel.slot-released"): _OPTINS,
    ("no-retry-after", "headers.retry-after"): _OPTINS,
    ("overload-status", "limits.concurrency-429"): _OPTINS,
    ("overload-status", "limits.rate-429"): _OPTINS,
    ("resume-unscoped", "security.replay-scoped"): _OPTINS,
}

_NO_END: Final = frozenset(
    {"custom.explicit-done-event", "custom.token-done-shape", "openai-chat.done-sentinel", "openai-chat.usage-chunk",
     "openai-chat.finish-reason", "termination.explicit-end"}
)  # fmt: skip
_TORN_TEXT: Final = frozenset({"framing.data-prefix-every-line", "text.newline-roundtrip"})
_LINES_OF_OTHERS: Final = _TORN_TEXT | {
    "framing.id-retry-valid", "framing.known-fields", "framing.no-rewrapped-lines", "liveness.heartbeat-is-comment",
    "termination.single-terminal",
}  # fmt: skip
# What must object as well, in some shape: a stream that is cut has no end either, a torn text is not the one sent.
COMPANIONS: Final[dict[str, frozenset[str]]] = {
    "array-payloads": frozenset({"gemini.finish-reason", "termination.explicit-end"}),
    # Line breaks, U+2029 and VT are white space too.
    "blanks-dropped": _TORN_TEXT | {"text.unicode-line-separators-escaped"},
    "bom-mid": frozenset({"custom.event-names-stable"}),
    "content-after-terminal": frozenset(
        {"anthropic.event-order", "openai-chat.finish-reason", "openai-responses.item-lifecycle",
         "text.concat-equals-final"}
    ),
    # Several streams of special texts run at the same time; which of them are crossed is chance.
    "crossed-streams": _TORN_TEXT
    | {"framing.event-size-64k", "security.sse-injection", "text.unicode-line-separators-escaped", "text.utf8-valid"},
    "cut-mid-event": _NO_END,
    "double-headers": frozenset({"headers.content-type", "headers.x-accel-buffering"}),
    "double-space": _NO_END | {"custom.consistent-shape", "custom.event-names-stable"},
    "double-terminal": frozenset({"openai-responses.sequence-number"}),
    "empty-data": frozenset({"liveness.heartbeat-is-comment"}),
    "error-bare": _NO_END
    | {"anthropic.event-order", "anthropic.message-delta-stop-reason", "anthropic.message-stop-last",
       "framing.known-fields", "ollama.done-true-last", "ollama.one-json-per-line",
       "openai-responses.single-terminal-last", "text.json-valid"},
    "error-unframed": frozenset(
        {"errors.machine-readable", "errors.mid-stream-event", "framing.known-fields", "text.json-valid"}
    ),
    "fin": _NO_END,
    "fin-mid-event": _NO_END,
    "fragile": frozenset({"http.accept-negotiation", "http.status-200"}),
    "html-200": frozenset({"headers.cache-control", "headers.x-accel-buffering"}),
    "injection-cr": _LINES_OF_OTHERS | {"framing.line-endings"},
    "injection-crlf": _LINES_OF_OTHERS | {"framing.line-endings"},
    "injection-json": _LINES_OF_OTHERS | _NO_END,
    "injection-quote": frozenset({"custom.consistent-shape"}),
    "injection-raw": _LINES_OF_OTHERS,
    "late-close": frozenset({"http.chunked-framing", "termination.explicit-end"}),
    "late-event": _NO_END | {"http.chunked-framing"},
    "no-final-blank": _NO_END | {"errors.mid-stream-event"},
    "oversized-event": _TORN_TEXT | {"text.utf8-valid"},
    "pretty-json": frozenset({"framing.space-after-colon"}),
    "raw-newline": frozenset({"security.sse-injection"}),
    "rewrapped": _NO_END | {"text.json-valid"},
    "rst": _NO_END,
    "rst-at": _NO_END | {"framing.event-terminated"},
    # The error ends every stream, also those that ask for something of their own.
    "secret-in-error": _TORN_TEXT
    | {"flush.lockstep", "framing.event-size-64k", "limits.input-size", "security.sse-injection",
       "text.unicode-line-separators-escaped"},
    # They speak beyond ASCII, U+2028 included, and not in escapes.
    "split-utf8": frozenset({"text.unicode-line-separators-escaped"}),
    "split-utf8-writes": frozenset({"text.unicode-line-separators-escaped"}),
    "spread-lines": frozenset({"text.json-valid"}),
    "stall": _NO_END | {"http.chunked-framing"},
    "stall-quiet": _NO_END | {"http.chunked-framing"},
    "swapped-events": frozenset({"openai-responses.sequence-number"}),
    # The number is no text, so the text of the answer lacks it.
    "text-number": frozenset({"text.concat-equals-final"}),
    "tool-no-index": frozenset({"openai-chat.tool-args-json"}),
    "truncated-chunk": _NO_END,
    "unnamed-events": frozenset({"anthropic.error-event", "anthropic.ping-json"}),
    "utf8-invalid": _TORN_TEXT,
}  # fmt: skip

_HEAD: Final = """\
# What makes each check object

Generated from the code. Each check is proven both ways: on tapes, which are answers written down byte by byte, and
where the mock provider can play it against a server with a fault. A test plays every fault in every shape it can have
and lets every check judge it: those that it is made for object, and besides them only companions that are listed here
(`a stream that is cut has no end either`); without the fault none does. `explain ID` prints commands to see it.

| check | faults of the mock that it objects to | shown otherwise | on tapes |
|---|---|---|---|
"""
_COMPANIONS_HEAD: Final = """

## Faults and the companions of their checks

| fault | what it does | made for | may object too |
|---|---|---|---|
"""


def examples() -> Iterator[Example]:
    """Every tape with the verdict it was written for."""
    from tests.harness.conformance.examples import EXAMPLES  # it imports every tape

    yield from EXAMPLES


def negative_examples() -> Iterator[tuple[str, Verdict]]:
    """Check and verdict of each tape that makes a check object."""
    for one in examples():
        if one.verdict in (Verdict.FAIL, Verdict.WARN, Verdict.INFO):
            yield one.check, one.verdict


def otherwise(name: str) -> str:
    """What makes a check object where no fault does: servers with a knob turned, or the tests that bring their own."""
    if shown := reproduction_of(CHECKS[name]):
        return "<br>".join(f"`{server}`" for server in shown.servers)
    places = [path for path in sorted(_TESTS.glob("**/test_*.py")) if f'"{name}"' in path.read_text(encoding="utf-8")]
    return ", ".join(f"`{path.name}`" for path in places if path.name.startswith("test_run") or "e2e" in path.parts)


def told_by(name: str, taped: set[tuple[str, Verdict]]) -> str:
    """What the tapes make a check say when it objects."""
    return ", ".join(
        verdict.value for verdict in (Verdict.FAIL, Verdict.WARN, Verdict.INFO) if (name, verdict) in taped
    )


def faults_page() -> str:
    """docs/check-faults.md."""
    taped = set(negative_examples())
    breaking = {check.id: {fault.name for fault in faults_of(check)} for check in select()}
    by_check = {check: [name for name in FAULTS if name in names] for check, names in breaking.items()}
    rows = []
    for name, faults in by_check.items():
        told = ", ".join(f"`{fault}`" + (" (with a flag)" if (fault, name) in SHOWN_BY else "") for fault in faults)
        rows.append(f"| {name} | {told} | {'' if faults else otherwise(name)} | {told_by(name, taped)} |")
    listed = [
        f"| `{fault.name}` | {fault.sentence} | {', '.join(fault.trips) or 'nothing: it is legal'} | "
        f"{', '.join(sorted(COMPANIONS.get(fault.name, frozenset()) - set(fault.trips)))} |"
        for fault in FAULTS.values()
    ]
    return _HEAD + "\n".join(rows) + _COMPANIONS_HEAD + "\n".join(listed) + "\n"
