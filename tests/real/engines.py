"""An inference engine with nothing behind it: its findings, its gauges beside the truth, and the knee of its slots.

The truth is the number of slots: with N users, `slots` requests run and the others wait. With one user more than slots,
TTFT jumps from the time of a prefill to the rest of somebody's answer, and there the capacity ends.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.real.commands import document, streamgauge
from tests.real.systems import Engine

SEARCHES: Final = 3
_TOLERANCE: Final = 0.5  # requests: one sample a second, and a slot is empty for a moment between two answers
_PROMPTS: Final = ("--prompt-tokens", "8", "--output-tokens", "128")


def differences_of_engine(engine: Engine, url: str, folder: Path) -> Iterator[str]:
    for users in (engine.slots - 2, engine.slots + 2):
        yield from _differences_of_gauges(engine, url, folder / f"load-{users}", users)
    for seed in range(1, SEARCHES + 1):
        yield from _differences_of_capacity(engine, url, folder / f"capacity-{seed}", seed)


def _differences_of_gauges(engine: Engine, url: str, folder: Path, users: int) -> Iterator[str]:
    window = ("-d", "15s", "--warmup", "3s", "--drain", "20s")
    done = streamgauge("load", url, "--users", str(users), *window, "--server-metrics", "auto", *_PROMPTS,
                       *engine.options, "--out", str(folder))  # fmt: skip
    run = document(folder / "run.json", done)
    outcomes = {name for name, count in run["summary"]["streams"].items() if count} - {"incomplete"}
    if outcomes != {"ok"}:
        yield f"the streams of {users} users are {outcomes}"
    lane = run["server"]
    for figure, truth in (("running", min(users, engine.slots)), ("waiting", max(users - engine.slots, 0))):
        mean, most = lane[f"{figure}_mean"], lane[f"{figure}_max"]
        if mean is None or abs(mean - truth) > _TOLERANCE or most > truth:
            yield f"{users} users: {figure} is {mean} (at most {most}), not {truth}"
    for caveat in lane["caveats"]:
        yield f"{users} users: {caveat}"


def _differences_of_capacity(engine: Engine, url: str, folder: Path, seed: int) -> Iterator[str]:
    search = ("--slo", engine.slo, "--start", "2", "--budget", "12m", "--seed", str(seed), "--no-confirm-rate")
    done = streamgauge("capacity", url, *search, *_PROMPTS, *engine.options, "--out", str(folder))
    answer = document(folder / "capacity.json", done)["answer"]
    low, high = answer["low"], answer["high"]
    if low is None or high is None or not low <= engine.slots < high:
        found = f"from {low} to less than {high} users ({answer['ending']})"
        yield f"capacity with seed {seed}: {found}, not {engine.slots}"
