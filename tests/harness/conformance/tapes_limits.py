"""Examples for what takes waiting, load, a second user or a file: liveness, resume, limits, and some of security."""

from harness.units import SECOND
from harness.wire import End
from tests.harness.conformance.tapes import Examples, Tape, ledger

examples = Examples()
add = examples.add

TOKEN = b'data: {"token":"a","done":false}\n\n'
LAST = b'data: {"token":"","done":true}\n\n'
ERROR = b'event: error\ndata: {"message":"the model failed"}\n\n'
BEAT = b": keep-alive\n\n"
SEEN = ledger()

# liveness: times in ms


def silent(*timed: tuple[float, bytes], scenario: str = "quiet-middle", silence_s: int = 50, **more: object) -> Tape:
    return Tape(  # type: ignore[arg-type]
        timed=timed, scenario=scenario, silence_ns=silence_s * SECOND, **{"upstream": SEEN, **more}
    )


def beats(every_s: int, until_s: int) -> list[tuple[float, bytes]]:
    return [(at * 1000.0, BEAT) for at in range(every_s, until_s, every_s)]


END = (50_000.0, TOKEN + LAST)
check = "liveness.heartbeat-idle-15s"
add(check, "pass", silent((10, TOKEN), *beats(15, 50), END))
add(check, "pass", silent((10, TOKEN), *beats(17, 50), END))
add(check, "warn", silent((10, TOKEN), *beats(25, 50), END))
add(check, "fail", silent((10, TOKEN), END))
add(check, "fail", silent((10, TOKEN), *beats(10, 21), end=End.RESET, end_ms=21_000))  # cut, although not silent
add(check, "fail", silent((10, TOKEN), *beats(10, 21), end=End.TIMEOUT, end_ms=55_000, detail="no byte came"))
add(check, "inconclusive", silent((10, TOKEN), *beats(15, 50), END, upstream=None))
add(check, "inconclusive", silent((10, TOKEN), (12_000, TOKEN + LAST), silence_s=12))  # --max-duration 12s
add(check, "inconclusive", silent((10, TOKEN), *beats(15, 50), (50_000, ERROR)))
add(check, "inconclusive", silent())
add(check, "inconclusive", Tape(body=TOKEN))
check = "liveness.heartbeat-before-first-token"
start = {"scenario": "quiet-start", "silence_s": 40}
add(check, "pass", silent(*beats(15, 40), (40_000, TOKEN + LAST), **start))  # type: ignore[arg-type]
add(check, "warn", silent(*beats(20, 40), (40_000, TOKEN + LAST), **start))  # type: ignore[arg-type]
add(check, "fail", silent((40_000, TOKEN + LAST), **start))  # type: ignore[arg-type]
add(check, "fail", silent(status=None, end=End.TIMEOUT, end_ms=50_000, **start))  # type: ignore[arg-type]
add(check, "fail", silent((15_000, b"{}"), status=504, **start))  # type: ignore[arg-type]
add(check, "inconclusive", silent((40_000, TOKEN + LAST), upstream=None, **start))  # type: ignore[arg-type]
check = "liveness.heartbeat-not-masking-stall"
dead = {"scenario": "quiet-forever", "silence_s": 0}
over = {"end": End.TIMEOUT, "end_ms": 200_000, **dead}
add(check, "pass", silent((10, TOKEN), *beats(15, 60), (60_000, ERROR), **dead))  # type: ignore[arg-type]
add(check, "warn", silent((10, TOKEN), *beats(15, 60), (60_000, LAST), **dead))  # type: ignore[arg-type]
add(check, "warn", silent((10, TOKEN), *beats(15, 60), end=End.RESET, **dead))  # type: ignore[arg-type]
add(check, "fail", silent((10, TOKEN), *beats(15, 200), **over))  # type: ignore[arg-type]
add(check, "not-applicable", silent((10, TOKEN), **over))  # type: ignore[arg-type]
add(check, "inconclusive", silent((10, TOKEN), *beats(15, 90), **{**over, "end_ms": 90_000}))  # type: ignore[arg-type]
add(check, "inconclusive", silent((10, TOKEN), **{**over, "upstream": None}))  # type: ignore[arg-type]
