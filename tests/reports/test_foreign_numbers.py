"""Numbers from outside: whatever a stream says, every step from its bytes to every exporter goes on."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from streamgauge.cli.check_files import FORMATS
from streamgauge.conformance.cases import Case, Observed, Position
from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.judgement import judge_case
from streamgauge.conformance.report import ChecksReport, TargetChecks
from streamgauge.conformance.result import CheckResult, Verdict
from streamgauge.conformance.scenarios import SCENARIOS
from streamgauge.endpoint.hints import hint_for
from streamgauge.errors import UsageError
from streamgauge.metrics.reading import reading_caveats
from streamgauge.metrics.summary import Totals
from streamgauge.protocol.numbers import MOST_TOKENS
from streamgauge.protocol.reader import interpret
from streamgauge.protocol.record import StreamRecord, record_of
from streamgauge.protocol.transcript import Transcript
from streamgauge.reports.load import load
from streamgauge.reports.markdown import markdown_report
from streamgauge.reports.parquet import write_parquet
from streamgauge.reports.render import render
from streamgauge.rundir import runs
from streamgauge.wire import Head
from tests.builders import tapes
from tests.builders.foreign_numbers import DEEP, EDGES, ODD, fragments, in_payloads, places, with_number
from tests.builders.tapes import MS, head, play
from tests.fuzz.targets.bodies import bodies
from tests.reports.report_builders import checks_file, full_run, write_streams

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
# Where each vendor puts numbers: @ stands for the number.
SHAPES: dict[str, str] = {
    "openai-chat": (
        'data: {"id":"c","created":@,"object":"chat.completion.chunk","choices":[{"index":@,"delta":{"content":"a "},'
        '"finish_reason":null}],"usage":null}\n\n'
        'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":@,"function":'
        '{"arguments":"x"}}]},"finish_reason":@}]}\n\n'
        'data: {"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":@,"completion_tokens":@}}\n\n'
        "data: [DONE]\n\n"
    ),
    "openai-responses": (
        'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":@,'
        '"delta":"a "}\n\nevent: response.completed\ndata: {"type":"response.completed","response":{"created_at":@,'
        '"usage":{"input_tokens":@,"output_tokens":@}}}\n\n'
    ),
    "anthropic": (
        'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":@,"output_tokens":@}}}'
        '\n\nevent: content_block_delta\ndata: {"type":"content_block_delta","index":@,"delta":{"type":"text_delta",'
        '"text":"a "}}\n\nevent: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
        '"usage":{"output_tokens":@}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n'
    ),
    "gemini": (
        'data: {"candidates":[{"index":@,"content":{"parts":[{"text":"a "},{"functionCall":{"name":"f","args":'
        '{"n":@}}}]}}]}\n\ndata: {"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}],"usageMetadata":'
        '{"promptTokenCount":@,"candidatesTokenCount":@,"thoughtsTokenCount":@,"totalTokenCount":@}}\n\n'
    ),
    "ollama": (
        '{"message":{"role":"assistant","content":"a ","tool_calls":[{"function":{"arguments":{"n":@}}}]},"done":false}'
        '\n{"message":{"content":""},"done":true,"total_duration":@,"prompt_eval_count":@,"eval_count":@}\n'
    ),
    "cohere": (
        'event: content-delta\ndata: {"type":"content-delta","index":@,"delta":{"message":{"content":{"text":"a "}}}}'
        '\n\nevent: message-end\ndata: {"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"tokens":'
        '{"input_tokens":@,"output_tokens":@}}}}\n\n'
    ),
    "an error": 'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"error":{"code":@,"status":@}}\n\n',
    "a bare error": 'data: {"error":@}\n\n',
    "retry": 'retry: @\nid: @\nevent: @\ndata: {"choices":[{"delta":{"content":"a"}}]}\n\n',
}
HEADERS = (
    "Content-Length: @",
    "Retry-After: @",
    "Age: @",
    "Date: @",
    "X-RateLimit-Remaining: @",
    "Keep-Alive: timeout=@",
)


def filled(text: str, numbers: Iterator[str]) -> str:
    first, *rest = text.split("@")
    return first + "".join(next(numbers) + part for part in rest)


def transcript_of(shape: str, numbers: Iterator[str], lines: tuple[str, ...] = ()) -> Transcript:
    media = NDJSON if shape == "ollama" else SSE
    fields = [filled(line, numbers).encode("ascii", "replace").decode()[:60_000] for line in lines]
    body = filled(SHAPES[shape], numbers).encode("utf-8", "surrogatepass")
    return interpret(play([(0, head(f"Content-Type: {media}", *fields)), (5 * MS, body)]), keep=True)


def stream(shape: str, numbers: Iterator[str], lines: tuple[str, ...] = ()) -> StreamRecord:
    """The record of one stream, after everything that reads its transcript has read it."""
    transcript = transcript_of(shape, numbers, lines)
    record = record_of(transcript, "s", url="http://x/")
    reading_caveats(transcript, record)
    return record


def must_be_usable(record: StreamRecord) -> None:
    """It can be written, read back as it was, counted, and made a row of."""
    line = msgspec.json.encode(record)
    assert msgspec.json.decode(line, type=StreamRecord) == record
    assert record.output_tokens is None or 0 < record.output_tokens <= MOST_TOKENS
    totals = Totals()
    totals.add(record)
    msgspec.json.encode(totals.summary())


@given(st.sampled_from(sorted(SHAPES)), st.lists(fragments, min_size=8, max_size=8))
def test_whatever_number_a_stream_has_its_record_can_be_used(shape: str, numbers: list[str]) -> None:
    must_be_usable(stream(shape, iter(numbers)))


@given(st.lists(st.sampled_from(HEADERS), max_size=4), st.lists(fragments, min_size=16, max_size=16))
def test_whatever_number_a_header_has_its_record_can_be_used(lines: list[str], numbers: list[str]) -> None:
    must_be_usable(stream("openai-chat", iter(numbers), tuple(lines)))


@given(fragments)
def test_whatever_number_a_refusal_has_the_hint_is_a_text(number: str) -> None:
    body = f'{{"error":{{"message":{number},"code":{number}}},"detail":[{{"loc":["body",{number}]}}]}}'
    hint_for(Head(422, "", "1.1", ()), body.encode("utf-8", "surrogatepass"), "http://x/v1/messages").encode()


def judged(transcript: Transcript) -> list[CheckResult]:
    """Every check's result, with this answer to every request; none of them breaks."""
    observed = [
        Observed(
            scenario=scenario, transcript=transcript, method="POST", url="http://x/", prompt="hi",
            curl="curl http://x/", request_body=b'{"stream_options":{"include_usage":true}}',
        )
        for scenario in SCENARIOS
    ]  # fmt: skip
    case = Case(observed=observed, method="POST", dialect=transcript.dialect, position=Position.SANDWICH)

    results = judge_case(case, CHECKS.values())

    assert [(one.id, one.actual) for one in results if one.verdict is Verdict.ERROR] == []
    return results


@settings(max_examples=15)
@given(st.sampled_from(sorted(SHAPES)), st.lists(fragments, min_size=24, max_size=24), st.sampled_from(HEADERS))
def test_whatever_number_a_stream_has_every_check_finds_and_every_format_writes(
    shape: str, numbers: list[str], line: str
) -> None:
    results = judged(transcript_of(shape, iter(numbers), (line,)))

    file = checks_file(results)
    report = ChecksReport(
        streamgauge="0", started="", fail_on="fail", targets=[TargetChecks(name="x", target="http://x/", checks=file)]
    )
    for form in FORMATS:
        form.text(report).encode()


KINDS = ("[]", "{}", "[[7]]", "true", "null", '""', "7", "-1.5", "9" * 400, "[null]")


@settings(max_examples=80)
@given(st.integers(0, 10**6), st.integers(0, 40), st.sampled_from(KINDS))
def test_whatever_kind_of_value_a_payload_has_no_check_breaks(which: int, at: int, value: str) -> None:
    """In place of each value of the bodies from which the checks' own examples are made."""
    known = bodies()
    judged(tapes.stream(in_payloads(known[which % len(known)], at, value)))


@pytest.mark.parametrize(
    "payload",
    [
        '{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":["stop"]}]}',
        '{"object":"chat.completion.chunk","created":' + "9" * 400 + ',"choices":[{"delta":{"content":"a"}}]}',
        '{"type":"message_delta","delta":{"stop_reason":{}},"usage":{"output_tokens":1}}',
    ],
)
def test_a_value_of_another_kind_breaks_no_check(payload: str) -> None:
    """Each of these broke one: a list or an object as the key of a table, and a number beyond any float."""
    judged(tapes.stream(f"data: {payload}\n\n".encode()))


def test_every_exporter_writes_a_run_of_them(tmp_path: Path) -> None:
    """One run of each shape with each odd number in all places, through every report."""
    numbers = [*EDGES[::2], *ODD, *DEEP[::5]]
    records = [
        msgspec.structs.replace(stream(shape, iter([number] * 16)), id=f"{shape}-{index}")
        for shape in SHAPES
        for index, number in enumerate(numbers)
    ]
    write_streams(tmp_path, records)

    written = render(tmp_path)
    frame = pd.read_parquet(write_parquet(tmp_path, events=True))

    assert [path.name for path in written] == ["report.html", "report.md"]
    assert len(frame) == len(records)
    assert frame["output_tokens"].max() <= MOST_TOKENS
    assert "token count is not believed" in (tmp_path / "report.md").read_text(encoding="utf-8")


# Each example writes files: to look for a smaller one would take minutes.
QUICK = (Phase.explicit, Phase.reuse, Phase.generate)


@contextmanager
def refused_by(name: str) -> Iterator[None]:
    """A refusal that names the file is as good as a report."""
    message = ""
    try:
        yield
    except UsageError as error:
        message = error.message
    assert not message or name in message


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return full_run(tmp_path_factory.mktemp("run"))


FILES = (runs.RUN, runs.CHECKS, runs.CANCELLATION, runs.DIAGNOSIS, runs.STREAMS)


@settings(max_examples=80, phases=QUICK)
@given(st.sampled_from(FILES), st.data(), fragments)
def test_whatever_number_a_file_of_a_run_has_the_report_is_made_or_refused(
    whole: Path, name: str, data: st.DataObject, number: str
) -> None:
    before = (whole / name).read_bytes()
    text = before.decode().splitlines()[0] if name == runs.STREAMS else before.decode()
    place = data.draw(st.sampled_from(list(places(json.loads(text)))))
    rest = before.partition(b"\n")[2] if name == runs.STREAMS else b""
    try:
        (whole / name).write_bytes(with_number(text, place, number) + b"\n" + rest)
        with refused_by(name):
            markdown_report(load(whole))
    finally:
        (whole / name).write_bytes(before)


@settings(max_examples=4, phases=QUICK)
@given(st.lists(st.tuples(st.integers(0, 10**6), fragments), min_size=40, max_size=40))
def test_whatever_numbers_the_records_have_every_page_is_made(
    tmp_path_factory: pytest.TempPathFactory, wrong: list[tuple[int, str]]
) -> None:
    directory = full_run(tmp_path_factory.mktemp("run"))
    lines = (directory / runs.STREAMS).read_text().splitlines()
    changed = []
    for line, (which, number) in zip(lines, wrong, strict=False):
        found = list(places(json.loads(line)))
        changed.append(with_number(line, found[which % len(found)], number))
    (directory / runs.STREAMS).write_bytes(b"\n".join([*changed, b""]))
    (directory / runs.RUN).unlink()
    with refused_by(runs.STREAMS):
        render(directory)
        write_parquet(directory, events=True)
