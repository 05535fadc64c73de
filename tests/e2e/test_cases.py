"""What each command says about the programs in tests/cases, against the truth that their docstrings tell."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.builders.command import streamgauge
from tests.cases import programs
from tests.cases.server import Service


class Truth(NamedTuple):
    """What has to be said of one program.

    `outcome` of a single stream, with words that must stand in `probe`; `tokens` and the range of the TTFT in ms where
    there are some; `findings` of `check`: ids or beginnings of them, one of which must fail or warn. Without any, the
    endpoint is healthy, and nothing may fail or warn.
    """

    outcome: str
    findings: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    tokens: int | None = 20
    ttft_ms: tuple[float, float] | None = (140, 400)
    dialect: str = "openai-chat"
    told: frozenset[str] = (
        frozenset()
    )  # what a healthy endpoint may be warned of: a habit that OpenAI itself does not have


USAGE, FINISH = frozenset({"openai-chat.usage-chunk"}), frozenset({"openai-chat.finish-reason"})
TRUTHS: dict[str, tuple[Service, Truth]] = {
    "healthy": (Service(), Truth("ok")),
    "comments while waiting": (programs.Waiting(), Truth("ok", ttft_ms=(590, 900), told=USAGE)),
    "a comment as data": (
        programs.CommentAsData(),
        Truth("protocol_error", ("framing.", "openai-chat.", "text."), ttft_ms=(395, 700)),
    ),
    "a heartbeat in a line": (
        programs.HeartbeatInLine(), Truth("protocol_error", ("framing.", "openai-chat."), tokens=None),
    ),
    "heartbeats for ever": (programs.HeartbeatsForEver(), Truth("truncated", ("termination.",), ("[DONE]",))),
    "a bare error": (
        programs.BareError(), Truth("error_event", ("errors.", "framing."), ("19185 tokens",), None, None),
    ),
    "tool calls": (programs.ToolCalls(), Truth("ok", tokens=8)),
    "tool calls without index": (programs.ToolCalls("noindex"), Truth("ok", ("openai-chat.tool",), tokens=8)),
    "two tool calls with one index": (programs.ToolCalls("sameindex"), Truth("ok", ("openai-chat.tool",), tokens=8)),
    "arguments as an object": (programs.ToolCalls("object"), Truth("ok", ("openai-chat.",), tokens=None, ttft_ms=None)),
    "reasoning in an array": (programs.Thinking(), Truth("ok", tokens=40, ttft_ms=(190, 450), told=USAGE)),
    "only errors": (programs.OnlyErrors(), Truth("error_event", ("errors.",), ("engine died",), None, None)),
    "anthropic": (programs.Anthropic(ok=True), Truth("ok", dialect="anthropic")),
    "anthropic without content": (programs.Anthropic(), Truth("ok", ("anthropic.",), dialect="anthropic")),
    "responses": (programs.Responses(), Truth("ok", dialect="openai-responses")),
    "responses without output and usage": (
        programs.Responses("bad"), Truth("ok", ("openai-responses.",), dialect="openai-responses"),
    ),
    "responses without output": (
        programs.Responses("nooutput"), Truth("ok", ("openai-responses.",), dialect="openai-responses"),
    ),
    "responses with an empty output": (
        programs.Responses("emptyoutput"), Truth("ok", ("openai-responses.",), dialect="openai-responses"),
    ),
    "a stall behind comments": (
        programs.StallBehindComments(), Truth("stalled", ("termination.", "liveness."), tokens=8),
    ),
    "usage in a choice": (programs.UsageQuirk(), Truth("ok", told=USAGE | FINISH)),
    "the finish reason with the last token": (programs.UsageQuirk("content"), Truth("ok", told=FINISH)),
    "chunked twice": (programs.TransferEncodingTwice(), Truth("ok", ("http.",))),
    "identity beside chunked": (
        programs.TransferEncodingTwice("identity"),
        Truth("error", ("http.",), ("Transfer-Encoding",), None, None),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TRUTHS)
def test_probe_tells_the_truth(name: str) -> None:
    service, truth = TRUTHS[name]
    with service as url:
        done = streamgauge("probe", url, "--timeout", "2s")

    assert "Traceback" not in done.stderr
    said = done.stdout + done.stderr  # "error": there is no stream, and stderr says why
    assert re.search(rf"^{truth.outcome}\b", said, re.MULTILINE), said
    assert done.returncode == {"ok": 0, "error": 3}.get(truth.outcome, 1)
    for word in truth.words:
        assert word in said
    if truth.outcome not in ("error_event", "protocol_error", "error"):
        assert re.search(rf"^dialect +{truth.dialect}\b", done.stdout, re.MULTILINE), done.stdout
    if truth.tokens is not None:
        assert re.search(rf"^tokens +{truth.tokens}\b", done.stdout, re.MULTILINE), done.stdout
    ttft = re.search(r"^TTFT +([\d.,]+) ms", done.stdout, re.MULTILINE)
    if truth.ttft_ms is None:
        assert ttft is None or truth.outcome == "ok", done.stdout
    else:
        assert ttft is not None, done.stdout
        assert truth.ttft_ms[0] <= float(ttft[1].replace(",", ""))  # a busy machine may be late, but never early


@pytest.mark.parametrize("name", TRUTHS)
def test_check_finds_the_fault_and_nothing_else(name: str, tmp_path: Path) -> None:
    service, truth = TRUTHS[name]
    with service as url:
        # The longest silence of a healthy program is 0.6 s. Those that stall would take the default of a minute.
        done = streamgauge("check", url, "--timeout", "3s", "--json", tmp_path / "out.json")

    unmet = {one["id"]: one["actual"] for one in findings(tmp_path / "out.json") if one["verdict"] in ("fail", "warn")}
    assert "Traceback" not in done.stderr
    if truth.findings:
        assert any(found.startswith(truth.findings) for found in unmet), unmet
    else:
        assert not unmet.keys() - truth.told, unmet
        assert done.returncode == 0


@pytest.mark.parametrize(
    "name",
    [
        "healthy",
        "only errors",
        "a bare error",
        "reasoning in an array",
        "a comment as data",
        "a heartbeat in a line",
        "a stall behind comments",
        "heartbeats for ever",
    ],
)
def test_load_counts_what_happened(name: str, tmp_path: Path) -> None:
    service, truth = TRUTHS[name]
    with service as url:
        done = streamgauge("load", url, "--users", "3", "-d", "4s", "--timeout", "1s", "--out", tmp_path,
                           "--slo", "error_rate <= 0%", "--no-report")  # fmt: skip

    summary = json.loads((tmp_path / "run.json").read_text())["summary"]
    outcomes = {name for name, count in summary["streams"].items() if count} - {"incomplete"}
    assert outcomes == {truth.outcome}, done.stdout + done.stderr
    assert done.returncode == (0 if truth.outcome == "ok" else 1), "the SLO is missed, also where no token came at all"


def findings(file: Path) -> list[dict[str, Any]]:
    """All findings of the only target."""
    (target,) = json.loads(file.read_text())["targets"]
    return list(target["checks"]["results"])
