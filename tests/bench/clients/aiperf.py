"""AIPerf, a leading benchmark tool for LLM endpoints, in a virtual environment of its own (1.2 GB, about a minute).

Its own export says when each request began and when its chunks came, so its figures are compared as all others are.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Final

VERSION: Final = "0.13.0"
VENV: Final = Path(os.environ.get("BENCH_AIPERF_VENV", "build/bench/aiperf"))
_PROGRAM: Final = VENV / "bin" / "aiperf"
_INSTALL_S: Final = 600
# A tokenizer that needs no download. Tokens are counted by the server, so it is loaded but has nothing to count.
_TOKENIZER: Final = {
    "tokenizer.json": {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"},
    },
    "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "eos_token": "[UNK]"},
}


def install() -> str | None:
    """Install it unless it is there; the reason why that is impossible."""
    if _PROGRAM.exists():
        return None
    print(f"installing aiperf {VERSION} into {VENV} (1.2 GB, about a minute) ...", flush=True)  # noqa: T201
    try:
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True, timeout=_INSTALL_S)
        pip = [str(VENV / "bin" / "pip"), "install", "-qq", "--disable-pip-version-check", f"aiperf=={VERSION}"]
        subprocess.run(pip, check=True, timeout=_INSTALL_S)
    except (OSError, subprocess.SubprocessError) as error:
        return f"aiperf {VERSION} cannot be installed: {error}"
    return None


def command(url: str, streams: int, seconds: float, folder: Path) -> list[str]:
    """One process that keeps `streams` requests running for `seconds`. Each prompt carries an id for the ledger."""
    tokenizer, prompts = (folder / "tokenizer").absolute(), folder / "prompts.jsonl"
    tokenizer.mkdir()
    for name, content in _TOKENIZER.items():
        (tokenizer / name).write_text(json.dumps(content))
    with prompts.open("w") as file:
        for number in range(streams * 12):  # more than it can ask, so that no id comes twice
            print(json.dumps({"session_id": f"p{number}", "text": f"[[mock id=p{number}]]"}), file=file)
    return [
        str(_PROGRAM), "profile", "--model", "mock-1", "--url", url, "--endpoint-type", "chat", "--streaming",
        "--tokenizer", str(tokenizer), "--use-server-token-count",
        "--input-file", str(prompts), "--custom-dataset-type", "single_turn",
        "--dataset-sampling-strategy", "sequential", "--concurrency", str(streams),
        "--benchmark-duration", f"{seconds:g}", "--benchmark-grace-period", "5",
        "--ui", "none", "--no-gpu-telemetry", "--no-server-metrics", "--artifact-dir", str(folder / "aiperf"),
    ]  # fmt: skip


def streams(folder: Path) -> Iterator[tuple[str, int, list[int]]]:
    """Id, start and token times (epoch ns) of each stream that it read to the end."""
    path = folder / "aiperf" / "profile_export.jsonl"
    for line in path.read_text().splitlines() if path.exists() else []:
        stream = json.loads(line)
        metadata, metrics = stream["metadata"], stream["metrics"]
        if metadata["was_cancelled"] or "time_to_first_token" not in metrics:
            continue
        start_ns = metadata["request_start_ns"]
        gaps = metrics["inter_chunk_latency"]["value"][: int(metrics["output_token_count"]["value"]) - 1]
        times_ms = accumulate([metrics["time_to_first_token"]["value"], *gaps])
        yield metadata["conversation_id"], start_ns, [start_ns + round(ms * 1e6) for ms in times_ms]
