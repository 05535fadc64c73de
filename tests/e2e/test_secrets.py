"""No secret that the user gave comes out again: an endpoint repeats it, and every output is searched.

A run gives some secrets at once, each at its own place, and the endpoint repeats each at a place, in a spelling and in
pieces that are drawn by lot. `make secrets` runs 1,000 placements; here are some dozens.
"""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from urllib.parse import urlencode

import psutil
import pytest

from streamgauge.secrets import forget
from tests.builders import echoing
from tests.builders.command import streamgauge
from tests.builders.echoing import (
    AUTHORIZATION,
    GIVEN,
    PLACES,
    SPELLINGS,
    Answer,
    EchoingServer,
    Given,
    Speaks,
    Split,
)  # fmt: skip
from tests.e2e.conftest import CHAT, Start, free_port

PLACEMENTS = int(os.environ.get("STREAMGAUGE_PLACEMENTS", "30"))
PER_RUN = 5
COMMANDS = (
    "probe", "clients", "diagnose", "check", "load", "probe --show-wire", "load --processes 2", "cancel", "probe",
    "check --targets", "capacity",
)  # fmt: skip
CHECKS = ("security.*", "errors.*", "framing.*", "http.*", "termination.*", "resume.*")


class Placement(NamedTuple):
    """One secret: where it is given, and where, how and in which pieces it comes back."""

    key: str
    given: str
    place: str
    spelling: str
    split: Split

    @property
    def spelled(self) -> str:
        return SPELLINGS[self.spelling](self.key)


class Lot(NamedTuple):
    """The placements of one run of a command."""

    command: str
    answer: Answer
    placements: list[Placement]
    speaks: Speaks


def lots(count: int) -> Iterator[Lot]:
    """Runs with so many placements in all, the same each time."""
    number = 0
    while count > 0:
        lot = _lot(Random(number), COMMANDS[number % len(COMMANDS)])
        count -= len(lot.placements)
        number += 1
        yield lot


def _lot(random: Random, command: str) -> Lot:
    kind = random.choice([Answer.REFUSED, Answer.STREAM, Answer.STREAM, Answer.BROKEN])
    places = random.sample(PLACES[kind], min(PER_RUN, len(PLACES[kind])))
    ways = [list(AUTHORIZATION), list(GIVEN)]
    if command.startswith("check"):  # a target file of `check` takes no secret in a URL, and a URL no target file
        wrong: tuple[str, ...] = ("user", "?") if command == "check --targets" else ("target file",)
    else:
        wrong = ("--second-key",)
    ways = [[way for way in some if not way.startswith(wrong)] for some in ways]
    given = [random.choice(ways[0]), *random.sample(ways[1], len(places) - 1)]
    return Lot(
        command,
        kind,
        [
            Placement(echoing.secret(random), where, place, random.choice(list(SPELLINGS)), random.choice(list(Split)))
            for where, place in zip(given, places, strict=True)
        ],
        _speaks(random, command, kind, given),
    )


def _speaks(random: Random, command: str, kind: Answer, given: list[str]) -> Speaks:
    """A forward proxy and a mock (`cancel`) are asked in HTTP/1, and what is broken here is the framing of HTTP/1."""
    if "HTTP_PROXY" in given:
        return Speaks.HTTP1
    only_http1 = kind is Answer.BROKEN or command == "cancel"
    return random.choice([Speaks.HTTP1, Speaks.TLS] if only_http1 else list(Speaks))


LOTS = list(lots(PLACEMENTS))


NAMES = [f"{number}-{lot.command}-{lot.answer}-{lot.speaks}" for number, lot in enumerate(LOTS)]


@pytest.mark.parametrize("number", range(len(LOTS)), ids=NAMES)
def test_no_output_shows_a_secret_that_the_endpoint_repeats(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lot = LOTS[number]
    text = echoing.answer(lot.answer, {one.place: one.spelled for one in lot.placements})
    pieces = echoing.cut(text, [(one.spelled, one.split) for one in lot.placements])
    with EchoingServer(pieces, lot.speaks) as server, _command_lines() as lines:
        outputs = _run(lot, server, tmp_path, monkeypatch)

    assert server.requests
    for one in lot.placements:
        for name, output in {**outputs, "command lines": "\n".join(lines)}.items():
            piece = echoing.shown_of(output, one.key)
            assert piece is None, f"{name} shows {piece!r} of {one}:\n{_around(output, piece)}"


def test_master_and_worker_hide_each_the_key_of_its_own_machine(start: Start, tmp_path: Path) -> None:
    keys = {"the master": "sk-of-the-master-0123456789", "the worker": "sk-of-a-worker-0123456789"}
    answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"' + echoing.TOKEN + b'"}]}\n\n'
        b'data: {"error":{"message":"your key is ' + echoing.TOKEN + b'"}}\n\n'
    )
    port = str(free_port())
    with EchoingServer([answer]) as server:
        load = start(
            "load", f"http://127.0.0.1:{server.port}{CHAT}", "--users", "2", "--duration", "2s", "--out", tmp_path,
            "--master", "--port", port, "--api-key-env", "OUR_KEY", OUR_KEY=keys["the master"],
        )  # fmt: skip
        worker = start("load", "--worker", f"127.0.0.1:{port}", "--api-key-env", "OUR_KEY", OUR_KEY=keys["the worker"])
        outputs = {"the master": "".join(load.communicate(timeout=90)), "the worker": "".join(worker.communicate())}

    assert any(keys["the worker"].encode() in request for request in server.requests), outputs
    assert '"detail":"your key is ***"' in (tmp_path / "streams.jsonl").read_text()
    for name, output in {**outputs, **_texts(tmp_path)}.items():
        for key in keys.values():
            assert echoing.shown_of(output, key) is None, name


@pytest.mark.parametrize("command", ["probe", "check", "load", "diagnose", "clients", "cancel", "capacity"])
def test_no_output_shows_a_secret_where_there_is_no_connection(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate whose owner is named like the key; and a host that cannot be resolved, behind user info."""
    key = "sk-of-nobody-0123456789"
    monkeypatch.setenv("OUR_KEY", key)
    with EchoingServer([b""], Speaks.TLS, subject=key) as server:
        at = f"{server.origin}/v1/chat/completions"
        refused = streamgauge(*_words(command, [at], server.origin, tmp_path), "--api-key-env", "OUR_KEY")
        at = f"https://user:{key}@no-such-host.invalid/v1/chat/completions"
        unresolved = streamgauge(*_words(command, [at], server.origin, tmp_path))

    for done in (refused, unresolved):
        assert done.returncode in (1, 2, 3)
        for name, output in {"stdout": done.stdout, "stderr": done.stderr, **_texts(tmp_path)}.items():
            assert echoing.shown_of(output, key) is None, f"{name}: {output}"


def _run(lot: Lot, server: EchoingServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Run the command; all that came out of it, by name."""
    given = Given()
    for one in lot.placements:
        given = given.plus((AUTHORIZATION | GIVEN)[one.given](one.key))
    forget()
    for name, value in given.environment:
        monkeypatch.setenv(name, value)
    where = f"127.0.0.1:{server.port}"
    if given.proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{given.proxy}@{where}")
        where = "endpoint.test"
    who = f"{given.userinfo}@" if given.userinfo else ""
    query = f"?{urlencode(given.query)}" if given.query else ""
    scheme = "https" if lot.speaks.tls else "http"
    url = f"{scheme}://{who}{where}/v1/chat/completions{query}"
    (inputs := folder / "in").mkdir()
    (out := folder / "out").mkdir()
    spoken = [*(["--http2"] if lot.speaks.http2 else []), *(["--insecure"] if lot.speaks.tls else [])]
    options = [*given.options, *spoken, "--timeout", "5s", *_target(lot, url, given, inputs, monkeypatch)]
    if given.body:
        body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True, **dict(given.body)}
        (inputs / "body.json").write_text(json.dumps(body))
        options += ["--body", str(inputs / "body.json")]
    for key in given.second:
        monkeypatch.setenv("ECHO_SECOND", key)
        options += ["--second-key", "ECHO_SECOND"]
    at = [] if "--target" in options else [url]
    done = streamgauge(*_words(lot.command, at, server.origin, out), *options)
    assert "Traceback" not in done.stderr
    files = {str(path.relative_to(out)): path for path in out.rglob("*") if path.is_file()}
    if "streams.jsonl" in files:
        report = streamgauge("report", out, "--parquet", "--events")
        return {"stdout": done.stdout, "stderr": done.stderr, "report": report.stdout + report.stderr, **_texts(out)}
    return {"stdout": done.stdout, "stderr": done.stderr, **_texts(out)}


def _target(lot: Lot, url: str, given: Given, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The option for a target file with the headers that are given there. That of `check` must name variables."""
    if not given.target and lot.command != "check --targets":
        return []
    lines = [f"url = {json.dumps(url)}", "[headers]"]
    for name, value in given.target:
        if lot.command.startswith("check"):
            variable = f"ECHO_{name.upper().replace('-', '_')}"
            monkeypatch.setenv(variable, value)
            lines.append(f'{name} = "${{{variable}}}"')
        else:
            lines.append(f"{name} = {json.dumps(value)}")
    (folder / "target.toml").write_text("\n".join(lines))
    return ["--target", str(folder / "target.toml")]


def _words(command: str, at: list[str], mock: str, out: Path) -> list[str]:
    """The command line; `at` is the URL, or empty if a target file has it."""
    name, *flags = command.split()
    if name == "load":
        return ["load", *at, "--users", "2", "--duration", "1s", "--out", str(out), *flags]
    if name == "capacity":
        quick = ["--at-least", "1", "--quick", "--repeats", "1", "--point", "1s", "--longest", "1s"]
        return ["capacity", *at, "--slo", "ttft p50 < 5s", *quick, "--out", str(out)]
    if name == "diagnose":
        return ["diagnose", *(["--via", *at] if at else []), "--out", str(out)]
    if name == "clients":
        return ["clients", *at, "--json", str(out / "clients.json")]
    if name == "cancel":
        return ["cancel", *at, "--mock", mock, "--out", str(out)]
    if name == "check":
        files = {"json": "c.json", "junit": "c.xml", "sarif": "c.sarif", "markdown": "c.md", "html": "c.html"}
        words = ["check", *at, "--verbose", "--clients", "--out", str(out)]
        for only in CHECKS:
            words += ["--only", only]
        for form, file in files.items():
            words += [f"--{form}", str(out / file)]
        return words
    return [name, *at, *flags]


def _texts(folder: Path) -> dict[str, str]:
    """The files of a folder as text; of Parquet its columns."""
    texts = {}
    for path in folder.rglob("*"):
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            table: Any = pq.read_table(path)
            texts[path.name] = json.dumps(table.to_pylist(), default=str)
        elif path.is_file():
            texts[str(path.relative_to(folder))] = path.read_text(errors="replace")
    return texts


def _around(text: str, piece: str | None) -> str:
    at = text.find(piece or "")
    return text[max(0, at - 200) : at + 200]


@contextmanager
def _command_lines() -> Iterator[set[str]]:
    """The command lines of all processes that are started meanwhile, as every user of the machine can read them."""
    found: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        own = psutil.Process()
        while not over.wait(0.05):
            for child in own.children(recursive=True):
                try:
                    found.add("\0".join(child.cmdline()))
                except psutil.Error:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()
