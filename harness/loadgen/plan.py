"""A load that is ready to run: everything that `run_load` needs besides the target."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from streamgauge.loadgen.cluster import Cluster
from streamgauge.loadgen.prompts import PromptSource
from streamgauge.loadgen.workload import Workload
from streamgauge.metrics.abort_rules import AbortRule
from streamgauge.metrics.calibration import Calibration
from streamgauge.metrics.condition import Condition
from streamgauge.secrets import hide, mask_url
from streamgauge.units import SECOND


class LoadPlan(NamedTuple):
    """What to run, the limits that stop it early, and the directory for its records."""

    workload: Workload
    directory: Path
    locustfiles: Sequence[Path]
    prompts: PromptSource
    slos: Sequence[Condition] = ()
    max_errors: int | None = None
    abort_rules: Sequence[AbortRule] = ()
    cluster: Cluster | None = None
    calibration: Calibration | None = None
    server_metrics: str | None = None

    @property
    def length_s(self) -> float:
        return self.workload.length_ns / SECOND

    def settings(self) -> dict[str, Any]:
        """The plan as run.json shows it."""
        return {
            "load": self.workload.model,
            **({"changes": self.workload.changes} if self.workload.changes else {}),
            **_settings(self.workload),
            **({"expect_workers": self.cluster.workers} if self.cluster else {}),
            "scenario": self.locustfiles[0].stem,
            "prompts": self.prompts.plan.settings(),
            "slos": [str(slo) for slo in self.slos],
            "max_errors": self.max_errors,
            "abort_if": [str(rule) for rule in self.abort_rules],
            **({"server_metrics": hide(mask_url(self.server_metrics))} if self.server_metrics else {}),
        }


def _settings(workload: Workload) -> dict[str, Any]:
    """The load model without the options that were not given."""
    settings = {
        "users": None if workload.is_open or workload.stages else workload.users,
        "duration_s": workload.length_ns / SECOND,
        "warmup_s": workload.warmup_ns / SECOND or None,
        "drain_s": workload.drain_ns / SECOND or None,
        "spawn_rate": workload.spawn_rate,
        "processes": workload.processes,
        "seed": workload.seed,
        "max_streams": workload.max_streams,
        "connections": workload.connections,
        "think": msgspec.to_builtins(workload.think),
        "abandon": msgspec.to_builtins(workload.abandon),
        "replay": workload.replay,
        "trace": workload.understood,
    }
    return {name: value for name, value in settings.items() if value is not None}
