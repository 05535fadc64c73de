"""Diagnosis and cancellation through a real nginx, in its usual and its recommended configuration."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from uuid import uuid4

import pytest

from streamgauge.conformance import run
from streamgauge.conformance.selection import select
from streamgauge.diagnosis.cancel_matrix import ITL, PHASES, TOKENS, leave, upstream_of
from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target, directive
from streamgauge.transport.connection import Close
from tests.e2e.conftest import RECOMMENDED, USUAL

Run = Callable[..., "CompletedProcess[str]"]
CHAT = "/v1/chat/completions"


def test_the_usual_proxy_pass_is_called_buffered_and_the_line_to_change_is_named(
    streamgauge: Run, mock: str, nginx: Callable[[str], str], tmp_path: Path
) -> None:
    done = streamgauge(
        "diagnose", "--via", nginx(USUAL) + CHAT, "--direct", mock + CHAT, "--mock", mock, "--out", tmp_path
    )

    found = json.loads((tmp_path / "diagnosis.json").read_text())
    assert done.returncode == 1
    assert (found["buffered"], found["pattern"], found["size_bytes"]) == (True, "block-buffered", 4096)
    assert "nginx" in found["hop"]
    assert "proxy_buffering off;" in done.stdout
    assert [path["pattern"] for path in found["paths"]] == ["block-buffered", "pass-through"]
    assert any("this fix is proven" in line for line in found["evidence"])


def test_the_recommended_configuration_is_called_pass_through(
    streamgauge: Run, mock: str, nginx: Callable[[str], str], tmp_path: Path
) -> None:
    done = streamgauge("diagnose", "--via", nginx(RECOMMENDED) + CHAT, "--mock", mock, "--out", tmp_path)

    found = json.loads((tmp_path / "diagnosis.json").read_text())
    assert done.returncode == 0, done.stdout
    assert (found["buffered"], found["fixes"]) == (False, [])


@pytest.mark.parametrize("hop", ["direct", "nginx"])
def test_cancel_gives_a_finite_delay_for_each_phase_and_method(
    streamgauge: Run, mock: str, nginx: Callable[[str], str], hop: str, tmp_path: Path
) -> None:
    base = mock if hop == "direct" else nginx(RECOMMENDED)

    done = streamgauge("cancel", base + CHAT, "--mock", mock, "--out", tmp_path)

    rows = json.loads((tmp_path / "cancellation.json").read_text())["rows"]
    assert done.returncode == 0, done.stdout
    assert {(row["phase"], row["method"]) for row in rows} == {
        (phase.name, method.value.upper()) for phase in PHASES for method in (Close.FIN, Close.RST)
    }
    assert all(row["seen"] and row["propagation_ms"] is not None and row["wasted_tokens"] is not None for row in rows)


@pytest.mark.parametrize("hop", ["direct", "nginx"])
def test_wasted_tokens_are_those_the_ledger_dates_after_the_close(
    mock: str, nginx: Callable[[str], str], hop: str
) -> None:
    base = mock if hop == "direct" else nginx("proxy_buffering off; proxy_ignore_client_abort on;")
    stream_id = uuid4().hex[:12]
    with StreamClient() as client, MockControl(mock) as control:
        target = Target(url=base + CHAT)
        spec = target.request(f"{target.prompt} {directive(id=stream_id, tokens=TOKENS, ttft='20ms', itl=ITL)}")
        transcript = leave(client, spec, target.reader(), PHASES[1], Close.FIN)
        entries = control.entries(stream_id, wait_s=12)

    close_ns = transcript.capture.end_ns
    assert close_ns is not None
    entry = entries[-1]
    with MockControl(mock) as control:
        upstream = upstream_of(entries, control.clock())
    assert upstream is not None
    dated_after = sum(
        at > close_ns + upstream.error_ns
        for at, token in zip(entry.writes.t_ns, entry.writes.token, strict=True)
        if token is not None
    )
    wasted = sum(at > close_ns for at in upstream.token_ns) + upstream.tokens_after
    assert wasted == dated_after + (entry.disconnect.tokens_after if entry.disconnect else 0)


GZIP = "gzip on; gzip_min_length 0; gzip_proxied any; gzip_types *; proxy_http_version 1.1;"
HELD = f"{GZIP} proxy_ignore_headers X-Accel-Buffering;"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (RECOMMENDED, {"flush.compression-flushes": "not-applicable", "flush.upstream-forms": "pass"}),
        (f"{GZIP} proxy_buffering off;", {"flush.compression-flushes": "pass", "flush.upstream-forms": "pass"}),
        (HELD, {"flush.compression-flushes": "fail"}),
        (USUAL, {"flush.upstream-forms": "fail", "text.upstream-forms": "pass"}),
    ],
)
def test_check_finds_the_nginx_that_holds_a_compressed_stream_or_any_without_the_upstream_s_header(
    mock: str, nginx: Callable[[str], str], config: str, expected: dict[str, str]
) -> None:
    with StreamClient() as client, MockControl(mock) as control:
        checks = run.check(client, Target(url=nginx(config) + CHAT), select(tuple(expected)), mock=control)

    assert {result.id: result.verdict.value for result in checks.results} == expected
    actual = {result.id: result.actual for result in checks.results}
    if config == USUAL:
        assert "no X-Accel-Buffering" in actual["flush.upstream-forms"]
    if config == HELD:
        assert "under gzip: lockstep passes without it" in actual["flush.compression-flushes"]
