"""The users of `--stages` over time, for any scenario: `locust -f scenarios/chat.py,scenarios/stages.py`."""

from locust import LoadTestShape

from streamgauge.loadgen.schedule import users_at
from streamgauge.scenarios.run import WORKLOAD
from streamgauge.units import SECOND


class Stages(LoadTestShape):
    """The warm-up runs with the users of the first stage. The users of the last stage stay until the run ends."""

    def tick(self) -> tuple[int, float]:
        elapsed_ns = round(self.get_run_time() * SECOND) - WORKLOAD.warmup_ns  # type: ignore[no-untyped-call]
        users = users_at(WORKLOAD.stages, max(elapsed_ns, 0)) or WORKLOAD.stages[-1].users
        return users, WORKLOAD.spawn_rate or users
