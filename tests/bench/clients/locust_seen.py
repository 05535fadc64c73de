"""What the users of a rival locustfile saw, written when Locust quits: one JSON line a stream."""

import json
import os
from typing import Any

from locust import events

SEEN: list[dict[str, Any]] = []


@events.quitting.add_listener
def _save(**_: Any) -> None:
    with open(os.environ["BENCH_SEEN"], "w") as file:
        file.writelines(json.dumps(seen) + "\n" for seen in SEEN)
