"""An inference engine with nothing behind it: its gauges beside the truth, and the knee of its slots.

The truth is the number of slots: with N users, `slots` requests run and the others wait. With one user more than slots,
a request waits S / slots on average, where S is the time of an answer, and there the capacity ends. S depends on the
machine, so a load of `slots` users chooses the objective: the geometric mean of its TTFT (p90) and S / slots.
"""

from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from typing import Any, Final

from tests.real.commands import document, streamgauge
from tests.real.systems import Engine

SEARCHES: Final = 3
_TOLERANCE: Final = 0.5  # requests: one sample a second, and a slot is empty for a moment between two answers
_APART: Final = 2.0  # least S / slots, in TTFTs without a queue: less leaves no room for an objective between them
_PROMPTS: Final = ("--prompt-tokens", "8", "--output-tokens", "200")
_FAILURES: Final = ("--slo", "error_rate < 10%")
_POINTS: Final = ("--start", "2", "--point", "20s", "--budget", "12m", "--no-confirm-rate", "--no-from-above")
_WINDOW: Final = ("--duration", "20s", "--warmup", "5s", "--drain", "30s", "--server-metrics", "auto")


def differences_of_engine(engine: Engine, url: str, folder: Path) -> Iterator[str]:
    """What `load` and `capacity` say of it that is not so."""
    full = _load(engine, url, folder / "full", engine.slots)
    yield from _differences_of_gauges(engine, full, engine.slots)
    beyond = engine.slots + 2
    yield from _differences_of_gauges(engine, _load(engine, url, folder / "beyond", beyond), beyond)
    ttft_ms, step_ms = full["summary"]["ttft_ms"]["p90"], full["summary"]["e2e_ms"]["mean"] / engine.slots
    if step_ms < _APART * ttft_ms:
        yield f"the TTFT is {ttft_ms:.0f} ms (p90) without a queue, too near to one step of the queue, {step_ms:.0f} ms"
        return
    for seed in range(1, SEARCHES + 1):
        slo = f"ttft p90 < {sqrt(ttft_ms * step_ms):.0f}ms"
        yield from _differences_of_capacity(engine, url, folder / f"capacity-{seed}", slo, seed)


def _load(engine: Engine, url: str, folder: Path, users: int) -> dict[str, Any]:
    done = streamgauge("load", url, "--users", str(users), *_WINDOW, *_PROMPTS, *engine.options, "--out", str(folder))
    return document(folder / "run.json", done)


def _differences_of_gauges(engine: Engine, run: dict[str, Any], users: int) -> Iterator[str]:
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


def _differences_of_capacity(engine: Engine, url: str, folder: Path, slo: str, seed: int) -> Iterator[str]:
    search = ("--slo", slo, *_FAILURES, *_POINTS, "--seed", str(seed))
    options = (*search, *_PROMPTS, *engine.options)
    answer = document(folder / "capacity.json", streamgauge("capacity", url, *options, "--out", str(folder)))["answer"]
    low, high = answer["low"], answer["high"]
    if low is None or high is None or not low <= engine.slots < high:
        found = f"from {low} to less than {high} users ({answer['ending']})"
        yield f"{slo}, seed {seed}: {found}, but it has {engine.slots} slots"
