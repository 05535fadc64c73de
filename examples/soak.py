"""A soak test that looks for drift: TTFT in windows, and at the end the first third against the last third.

locust -f examples/soak.py --headless --host http://127.0.0.1:9000/v1/chat/completions -u 20 -t 4h

Exit code 1 if the median TTFT grew by more than DRIFT, or if the share of failures did; 2 if the run was too short.
The records (runs/locust) have the whole story: `streamgauge report runs/locust` draws it over time.
"""

import os
import time
from statistics import median
from typing import Any

from locust import events, task

from streamgauge.scenarios.streaming import StreamingUser

WINDOW_S = float(os.environ.get("SOAK_WINDOW_S", "60"))
DRIFT = 0.2
MORE_FAILURES = 0.01
LEAST_WINDOWS = 6

windows: dict[int, tuple[list[float], list[bool]]] = {}


class SoakUser(StreamingUser):
    @task
    def chat(self) -> None:
        self.stream_and_go_on()


@events.request.add_listener
def note(response_time: float, exception: Exception | None, **_: Any) -> None:
    ttft, failed = windows.setdefault(int(time.monotonic() / WINDOW_S), ([], []))
    failed.append(exception is not None)
    if exception is None:
        ttft.append(response_time)


@events.test_stop.add_listener
def judge(environment: Any, **_: Any) -> None:
    whole = [found for _, found in sorted(windows.items())][1:-1]  # the first window is the warm-up, the last is cut
    if len(whole) < LEAST_WINDOWS:
        print(f"only {len(whole)} whole windows of {WINDOW_S:g} s: no verdict")
        environment.process_exit_code = 2
        return
    third = len(whole) // 3
    (before, failed_before), (after, failed_after) = (figures(part) for part in (whole[:third], whole[-third:]))
    drifted = after > before * (1 + DRIFT) or failed_after > failed_before + MORE_FAILURES
    print(f"TTFT p50 {before:.1f} ms -> {after:.1f} ms, failures {failed_before:.1%} -> {failed_after:.1%}", end=": ")
    print("DRIFT" if drifted else "no drift")
    environment.process_exit_code = int(drifted)


def figures(part: list[tuple[list[float], list[bool]]]) -> tuple[float, float]:
    """The median of the windows' median TTFT, which one bad window does not move, and the share of failures."""
    failed = [one for _, outcomes in part for one in outcomes]
    return median([median(ttft) for ttft, _ in part if ttft] or [float("inf")]), sum(failed) / max(len(failed), 1)
