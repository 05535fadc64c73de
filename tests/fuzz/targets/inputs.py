"""What users write or point at: options, target files, traces, prompts. Bad input is a UsageError, never another."""

import re
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Final

from streamgauge.conformance.targets import load_targets
from streamgauge.endpoint.target import Target as Endpoint
from streamgauge.endpoint.target_input import load_target, ready
from streamgauge.errors import UsageError
from streamgauge.loadgen.prompts.files import parse_prompts
from streamgauge.loadgen.prompts.lengths import parse_length, parse_prefixes
from streamgauge.loadgen.schedule import parse_rate, parse_stages
from streamgauge.loadgen.traces.controls import TraceControls
from streamgauge.loadgen.traces.reading import parse_trace
from streamgauge.loadgen.traces.timetable import arrivals_of
from streamgauge.loadgen.traces.understood import understood
from streamgauge.loadgen.workload import parse_abandon, parse_think
from streamgauge.metrics.abort_rules import parse_abort
from streamgauge.metrics.slo import parse_slo
from streamgauge.mock_provider.timing import trace
from tests.builders.locks import ROOT
from tests.fuzz.targets.choices import Choices, Target, as_file

_BREAKS_A_HEAD: Final = re.compile(rb"[\r\n\0]")
_FILES: Final = re.compile(rb"(?m)^\s*[\"']?(ca|cert|unix_socket)[\"']?\s*=")  # they would be opened, whatever they are


def objectives(data: bytes) -> None:
    """`--slo` and `--abort-if`: a rule that reads back as it was understood, or a UsageError."""
    text = data.decode("utf-8", "replace")
    for parse in (parse_slo, parse_abort):
        with suppress(UsageError):
            understood = parse(text)
            again = parse(str(understood))
            assert str(again) == str(understood)
            assert again == understood


_GRAMMARS: Final[tuple[Callable[[str], object], ...]] = (
    parse_rate,
    lambda text: parse_rate("1/s", text),
    parse_stages,
    parse_think,
    parse_abandon,
    parse_prefixes,
    lambda text: parse_length(text, "--prompt-tokens"),
)


def options(data: bytes) -> None:
    """The other small grammars of `load`: a value, or a UsageError."""
    text = data.decode("utf-8", "replace")
    for parse in _GRAMMARS:
        with suppress(UsageError):
            str(parse(text))


def target_files(data: bytes) -> None:
    """A target file of `load` or `check`: a request whose head cannot be broken out of, or a UsageError."""
    if _FILES.search(data):
        return
    path = as_file(data, "target.toml")
    for read in (lambda: [load_target(path)], lambda: load_targets(path)):
        with suppress(UsageError):
            for target in read():
                _use(ready(target))


def _use(target: Endpoint) -> None:
    repr(target)
    with suppress(UsageError):
        request = target.request()
        request.curl().encode()
        for name, value in request.headers.items():
            assert not _BREAKS_A_HEAD.search(name.encode() + value.encode("utf-8", "surrogateescape"))
        assert not _BREAKS_A_HEAD.search(request.method.encode() + request.url.encode("utf-8", "surrogateescape"))


def traces(data: bytes) -> None:
    """A trace for `--replay` or the mock, a prompt file: rows in order of time, or an error that names the line."""
    choices = Choices(data, 1)
    kind, text = choices.below(2), choices.rest.decode("utf-8", "replace")
    with suppress(UsageError):
        controls = TraceControls(closed=bool(kind))
        read = parse_trace(text.splitlines(), "trace", controls)
        assert understood(read, [], controls, "1/s")
        arrivals = arrivals_of(read, controls, "trace")
        assert arrivals[0].at_ns == 0
        assert all(one.at_ns <= two.at_ns for one, two in pairwise(arrivals))
    with suppress(UsageError):
        for entry in parse_prompts(text.splitlines(), ("prompts.jsonl", "prompts.txt")[kind]):
            assert entry.output_tokens is None or entry.output_tokens > 0
    with suppress(ValueError):
        row = trace.load(as_file(choices.rest, "trace")).take()
        assert row.ttft_ns >= 0
        assert all(gap >= 0 for gap in row.gaps_ns)


def _objectives() -> list[bytes]:
    return [
        b"ttft p95 < 500ms", b"itl p99.9 <= 80ms", b"error_rate < 1%", b"goodput > 95%", b"output_tokens_per_s > 1000",
        b"ttft p95 > 2s for 10s", b"error_rate > 20% for 30s", b"ttft mean < 1m30s", b"itl max < 1 s",
    ]  # fmt: skip


def _options() -> list[bytes]:
    return [
        b"20/s", b"600/min", b"5/h", b"poisson", b"constant", b"gamma:2.5", b"50:30s,200:1m", b"exp(2s)",
        b"uniform(1s,3s)", b"2s", b"10%@tokens:5..50", b"10%@2s..5s", b"200*4", b"N(480,240)", b"U(10,20)",
        b"lognormal(100,0.5)", b"256",
    ]  # fmt: skip


def _target_files() -> list[bytes]:
    files = sorted((ROOT / "examples").glob("*.toml"))
    made = [
        b'url = "http://localhost:8080/chat"\nmethod = "POST"\ntimeout = "30s"\n[headers]\nX-Tenant = "a"\n',
        b'dialect = "openai-chat"\n[[target]]\nname = "a"\nurl = "http://a/v1"\n[[target]]\nurl = "https://b/"\n',
        b'url = "h/?q={{prompt}}"\nbody = \'{"p": "{{prompt}}"}\'\nmodel = "m"\n[promise]\nrate = "5/s"\n',
    ]
    return [file.read_bytes() for file in files] + made


def _traces() -> list[bytes]:
    azure = (
        b"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0,3180,8\n"
    )
    samples = sorted((ROOT / "tests/harness/loadgen/traces/samples").iterdir())
    files = [
        *(sample.read_bytes() for sample in samples),
        b"timestamp,prompt_tokens,output_tokens\n0,10,20\n1.5,20,30\n",
        azure,
        b'{"timestamp": 27482, "input_length": 6955, "output_length": 52, "hash_ids": [1]}\n{"timestamp": 30535}\n',
        b"ttft,gaps\n50.5,20,20,19.5\n40,1,2\n",
        b'{"sent_ns": 5, "reads": {"at_ns": [9, 20]}, "token_reads": [0, 1]}\n',
        b'{"prompt": "hi", "output_tokens": 4}\n"two"\n{"messages": [{"role": "user", "content": "x"}]}\n',
        b"one\ntwo\n",
    ]
    return [bytes([kind]) + file for kind in (0, 1) for file in files]


OBJECTIVES: Final = Target(
    objectives, _objectives, (b" p99", b" < ", b" >= ", b" for ", b"ms", b"%", b"goodput", b"ttft", b"tpot", b"e2e")
)
OPTIONS: Final = Target(
    options, _options, (b"/s", b"/min", b"gamma:", b"exp(", b"%@tokens:", b"..", b"*", b"ms", b":1m,")
)
TARGET_FILES: Final = Target(
    target_files, _target_files,
    (b"url = ", b"[headers]\n", b"[[target]]\n", b"[stream]\n", b"[promise]\n", b"body = ", b"{{prompt}}", b'"""',
     b"${HOME}"),
)  # fmt: skip
TRACES: Final = Target(
    traces,
    _traces,
    (
        b"timestamp",
        b"input_length",
        b"output_tokens",
        b"prompt",
        b"1e999",
        b"T00:00:00Z",
        b"hash_ids",
        b"session_id",
        b"requests",
        b"conversations",
    ),
)
