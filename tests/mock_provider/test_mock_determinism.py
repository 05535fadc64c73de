"""The same seed and directives: the same bodies, byte for byte, from every server of every process."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from streamgauge.mock_provider import identity
from streamgauge.mock_provider.dialects import DIALECTS
from tests.mock_provider.mock_wire import Answer, exchange

ROUTES = [(dialect, method, path) for dialect in DIALECTS for method, path in dialect.routes]
PROMPTS = [
    "hi [[mock tokens=7]]",
    "hi [[mock tokens=7]]",  # the same again is another response
    "[[mock tokens=5 seed=9 id=named text=unicode itl=gamma(1ms,2) tokens_per_event=2]]",
    "[[mock tokens=4 itl=uniform(0,2ms) X]]",  # a refusal
]
SPEAKING = {"reasoning": "reasoning=3 tokens=6", "tools": "tools=2 tokens=6", "error": "fault=error-event:2"}


def request_bytes(method: str, path: str, prompt: str, *, stream: bool) -> bytes:
    """A request that every dialect can read, each by the fields that it knows."""
    path = re.sub(r"\{\w+\}", "m", path)
    head = [
        f"{method} {path}?alt=sse&api-version=1&message={quote(prompt)} HTTP/1.1",
        "Host: mock",
        "Connection: close",
    ]
    body = b""
    if method == "POST":
        turns = [{"role": "user", "content": prompt}]
        parts = [{"role": "user", "parts": [{"text": prompt}]}]
        fields: dict[str, object] = {
            "message": prompt,
            "prompt": prompt,
            "input": prompt,
            "messages": turns,
            "contents": parts,
        }
        if path == "/runs/stream":  # LangGraph's input is an object, and that of OpenAI Responses is a text
            fields |= {"assistant_id": "m", "input": {"messages": turns}}
        body = json.dumps(fields | {"model": "m", "max_tokens": 100, "stream": stream}).encode()
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


@contextmanager
def server(hash_seed: int) -> Iterator[str]:
    """A server in a process of its own, so that neither memory nor the hashing of strings is shared."""
    command = [
        sys.executable,
        "-m",
        "streamgauge.mock_provider",
        "--port",
        "0",
        "--ttft",
        "normal(2ms,1ms)",
        "--itl",
        "0",
    ]
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    with subprocess.Popen([*command, "--seed", "42"], stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def run(hash_seed: int) -> dict[str, Answer]:
    answers = {}
    with server(hash_seed) as url:
        for dialect, method, path in ROUTES:
            prompts = PROMPTS + [f"[[mock {told}]]" for kind, told in SPEAKING.items() if kind in dialect.features]
            for number, prompt in enumerate(prompts):
                for stream in (True, False):
                    answer = exchange(url, request_bytes(method, path, prompt, stream=stream))
                    answers[f"{method} {path} {number} {stream}"] = answer
    return answers


def test_two_runs_have_the_same_bodies() -> None:
    first, second = run(1), run(2)
    assert len(first) >= 8 * len(ROUTES)
    for name, answer in first.items():
        other = second[name]
        assert (answer.status, answer.body, answer.chunks) == (other.status, other.body, other.chunks), name
        if " 3 " in name:
            assert answer.status == 400, name
        elif name.endswith("True") and ":generateContent" not in name:  # a mid-stream error needs a stream
            assert answer.status == 200, (name, answer.rest)


def test_ids_derive_from_seed_stream_and_purpose() -> None:
    ids = {identity.hex_id(seed, stream, purpose) for seed in (0, 1) for stream in "ab" for purpose in "xy"}
    assert len(ids) == 8
    # Written down, because "on every machine" can't be tried out here.
    assert identity.hex_id(0, "a") == "d909288ffabdb87e4659c5a2"
    assert identity.created_s(0, "a") == 1797580686
    assert identity.fraction(0, "a", "x") == pytest.approx(0.4580277, abs=1e-6)
