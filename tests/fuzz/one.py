"""One target, for some seconds, in a process of its own: `python -m tests.fuzz.one NAME SECONDS SEED DIRECTORY`.

With atheris (libFuzzer) the coverage of the harness guides the search, and DIRECTORY keeps what was found worth
keeping; without it, known inputs are mutated. Either way an input that raises, takes over 5 minutes or over 2 GB
ends the run with exit code 1 and is left in DIRECTORY.
"""

# ruff: noqa: T201 (a script: printing is what it does)
import hashlib
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.fuzz.corpus import kept

if TYPE_CHECKING:
    from tests.fuzz.targets.choices import Target

try:
    import atheris
except ImportError:
    atheris = None

MAX_BYTES = 4096
MAX_SECONDS = 300  # of wall time: a machine may stand still for a while, and a hang is a hang
MAX_MEMORY_MB = 2048


def main(name: str, seconds: int, seed: int, directory: Path) -> None:
    corpus = directory / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    if atheris is None:
        from tests.fuzz.targets import target as load

        _mutate(load(name), [*load(name).seeds(), *kept(name)], seconds, seed, directory)
        return
    with atheris.instrument_imports(include=["streamgauge"]):
        from tests.fuzz.targets import target as load

        target = load(name)
    for data in [*target.seeds(), *kept(name)]:
        (corpus / hashlib.sha1(data).hexdigest()).write_bytes(data)
    words = directory / "words.txt"
    words.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in target.words))
    options = {"max_total_time": seconds, "max_len": MAX_BYTES, "timeout": MAX_SECONDS, "seed": seed,
               "rss_limit_mb": MAX_MEMORY_MB, "print_final_stats": 1, "verbosity": 1,
               "artifact_prefix": f"{directory}/"}  # fmt: skip
    if target.words:  # libFuzzer refuses an empty file
        options["dict"] = words
    atheris.Setup([name, str(corpus), *(f"-{key}={value}" for key, value in options.items())], target.run)
    atheris.Fuzz()


def _mutate(target: "Target", pool: list[bytes], seconds: int, seed: int, directory: Path) -> None:
    from tests.fuzz.mutate import mutated

    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_MB << 20, MAX_MEMORY_MB << 20))
    signal.signal(signal.SIGALRM, _too_long)
    source, start, tried, slowest = Random(seed), time.monotonic(), 0, 0.0
    while (now := time.monotonic()) - start < seconds:
        data = mutated(source, source.choice(pool), pool, target.words)[:MAX_BYTES]
        signal.alarm(MAX_SECONDS)
        try:
            target.run(data)
        except Exception:
            traceback.print_exc()
            left = directory / f"crash-{hashlib.sha1(data).hexdigest()}"
            left.write_bytes(data)
            sys.exit(f"{left} does it")
        finally:
            signal.alarm(0)
        tried += 1
        slowest = max(slowest, time.monotonic() - now)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"stat::number_of_executed_units: {tried}\nstat::peak_rss_mb: {peak}")
    print(f"stat::slowest_unit_time_sec: {slowest:.0f}")


def _too_long(*_: object) -> None:
    raise TimeoutError(f"more than {MAX_SECONDS} s for one input")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
