"""A load on a SignalR hub, against a hub in pure Python."""

from pathlib import Path

from streamgauge import load
from streamgauge.endpoint.target import Target
from streamgauge.metrics.facts import schedule_delay_ns
from streamgauge.protocol.dialects.signalr import HubTable
from tests.builders.signalr_hub import COMPLETION, Do, Script, hub


def test_each_stream_of_a_load_is_an_invocation_of_its_own(tmp_path: Path) -> None:
    with hub(Script((0.05, "Hel", 0.02, "lo", COMPLETION, Do.SILENCE))) as running:
        result = load(
            Target(url=running.url, signalr=HubTable("Ask")), users=3, duration="3s", directory=tmp_path / "run"
        )
    records = [record for record in result.records() if record.outcome != "incomplete"]
    assert len(records) > 10
    assert {(record.outcome, record.dialect, record.output_tokens) for record in records} == {("ok", "signalr", 2)}
    assert all(record.token_ns[0] >= 50_000_000 for record in records)
    assert len(running.invocations) >= len(records)


def test_a_hub_that_is_slow_to_connect_does_not_make_the_client_late(tmp_path: Path) -> None:
    """Nor is the time in a TTFT: a page connects once."""
    with hub(Script(("Hello", COMPLETION), handshake=(0.3, {}))) as running:
        target = Target(url=running.url, signalr=HubTable("Ask"))
        result = load(target, rate="5/s", duration="4s", directory=tmp_path / "run")
    records = [record for record in result.records() if record.outcome == "ok"]
    assert len(records) > 5
    assert min(schedule_delay_ns(record) or 0 for record in records) < 100_000_000
    assert min(record.token_ns[0] for record in records) < 100_000_000


def test_a_hub_that_is_full_is_an_error_of_each_stream(tmp_path: Path) -> None:
    served = []

    class Filling(dict[str, int]):
        def get(self, what: str, default: int = 200) -> int:  # type: ignore[override]
            served.append(what)
            return default if served.count("invocation") <= 3 or what != "invocation" else 503

    with hub(Script(posts=Filling())) as running:
        result = load(
            Target(url=running.url, signalr=HubTable("Ask")), users=2, duration="2s", directory=tmp_path / "run"
        )
    failed = [record for record in result.records() if record.outcome == "http_error"]
    assert failed
    assert {(record.status, record.detail) for record in failed} == {(503, "HTTP 503 Service Unavailable")}
