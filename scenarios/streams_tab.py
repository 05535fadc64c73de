"""A tab "Streams" in Locust's web UI: TTFT, ITL and tokens/s of all workers while the run goes on.

It uses Locust's own extension points: `extended_tabs` and `extended_tables` for the page, `extended_stats` in the
answer that the page polls (/stats/requests), and the reports that workers send to their master anyway.
"""

import json
from typing import Any, Final

import flask
import msgspec
from locust import events

from streamgauge.metrics.live import WINDOW_S, Live, Share
from streamgauge.protocol.record import StreamRecord
from streamgauge.protocol.typed import from_json
from streamgauge.scenarios.web_ui import guard
from streamgauge.steady import now_ns
from streamgauge.units import SECOND

KEY: Final = "streams"
COLUMNS: Final = {
    "name": "Scenario",
    "streams": "# Streams",
    "ok": "# OK",
    "failed": "# Failed",
    "ttft_p50_ms": "TTFT p50 (ms)",
    "ttft_p99_ms": "TTFT p99 (ms)",
    "itl_p50_ms": "ITL p50 (ms)",
    "itl_p99_ms": "ITL p99 (ms)",
    "tokens_per_s": f"Tokens/s (last {WINDOW_S} s)",
    "client_lag_p99_ms": "Client lag p99 (ms)",
}

_REPORT: Final = "streamgauge_live"

_live = Live()
_has_web_ui = False


def show_live(record: StreamRecord) -> None:
    """Count a stream for the tab. A headless run has no tab and does not pay for it."""
    if _has_web_ui:
        _live.add(record)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _init(environment: Any, **_: Any) -> None:
    global _has_web_ui
    options = environment.parsed_options
    _has_web_ui = not (options and options.headless)
    if environment.web_ui is None:
        return
    guard(environment)
    environment.web_ui.template_args |= {
        "extended_tabs": [{"title": "Streams", "key": KEY}],
        "extended_tables": [
            {"key": KEY, "structure": [{"key": key, "title": title} for key, title in COLUMNS.items()]}
        ],
    }

    @environment.web_ui.app.after_request  # type: ignore[untyped-decorator]
    def _extend(response: flask.Response) -> flask.Response:
        if flask.request.endpoint == "locust.request_stats" and response.is_json:
            rows = msgspec.to_builtins(_live.rows(now_ns() / SECOND))
            response.set_data(json.dumps({**response.get_json(), "extended_stats": [{"key": KEY, "data": rows}]}))
        return response


@events.report_to_master.add_listener  # type: ignore[untyped-decorator]
def _report(client_id: str, data: dict[str, Any]) -> None:  # noqa: ARG001 - Locust passes by name
    data[_REPORT] = msgspec.json.encode(_live.take())


@events.worker_report.add_listener  # type: ignore[untyped-decorator]
def _merge(client_id: str, data: dict[str, Any]) -> None:  # noqa: ARG001 - Locust passes by name
    _live.merge(from_json(data.get(_REPORT, b"{}"), dict[str, Share]))


@events.test_start.add_listener  # type: ignore[untyped-decorator]
@events.reset_stats.add_listener  # type: ignore[untyped-decorator]
def _clear(**_: Any) -> None:
    _live.clear()
