"""Directives: what is found, what is refused, and that everything that can be written is read back."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge import mock_provider
from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.directive import Directive, DirectiveError, Script, find_directive, read_directive
from streamgauge.mock_provider.faults import FAULTS, parse
from streamgauge.mock_provider.profiles import PROFILES
from streamgauge.mock_provider.text import KINDS, token_texts
from streamgauge.mock_provider.timing import Timeline, parse_delay
from streamgauge.mock_provider.timing.fixed import Fixed

MS = 1_000_000
PROSE = st.text(st.characters(exclude_characters="[]"), max_size=50)
KEYS = {
    "id": st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
    "tokens": st.integers(0, 1_000_000),
    "ttft": st.integers(0, 3_600_000),
    "itl": st.integers(0, 3_600_000),
    "seed": st.integers(0, 2**63 - 1),
    "say": st.text(max_size=30),
    "script": st.sampled_from(get_args(Script)),
    "text": st.sampled_from(KINDS),
    "heartbeat": st.integers(0, 3_600_000),
    "reasoning": st.integers(0, 1_000_000),
    "tools": st.integers(0, 100),
    "answer": st.sampled_from(["text", "refusal"]),
    "profile": st.sampled_from(sorted(PROFILES)),
    "finish": st.from_regex(r"[a-z_]{1,32}", fullmatch=True),
    "fault": st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=4),
}


@given(PROSE, st.fixed_dictionaries({}, optional=KEYS), PROSE)
def test_round_trip(before: str, values: dict, after: str) -> None:
    if "say" in values:
        values["say"] = values["say"].encode("utf-8", "replace").decode()
    written = {
        key: quote(value, safe="")
        if key == "say"
        else f"{value}ms"
        if key in ("ttft", "itl", "heartbeat")
        else ",".join(value)
        if key == "fault"
        else value
        for key, value in values.items()
    }
    pairs = " ".join(f"{key}={value}" for key, value in written.items())
    found = find_directive(f"{before}[[mock {pairs}]]{after}")
    expected = dict(values)
    for key in {"ttft", "itl"} & values.keys():
        expected[key] = Fixed(values[key] * MS)
    if "heartbeat" in values:
        expected["heartbeat"] = values["heartbeat"] * MS
    if "fault" in values:
        expected["fault"] = tuple(parse(name) for name in values["fault"])
    assert found == Directive(**expected)


@given(PROSE)
def test_a_prompt_without_a_directive_asks_for_nothing(prompt: str) -> None:
    assert find_directive(prompt) == Directive()


@pytest.mark.parametrize(
    "prompt", ["[[mock]]", "[[mock ]]", "[[mocking tokens=x]]", "[[ mock tokens=3 ]]", "[mock x=1]"]
)
def test_what_is_no_directive_or_an_empty_one(prompt: str) -> None:
    assert find_directive(prompt) == Directive()


def test_the_last_directive_counts() -> None:
    assert find_directive("[[mock tokens=1]] and later [[mock tokens=2]]") == Directive(tokens=2)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("speed=9", "id, tokens, ttft"),
        ("tokens", "key=value"),
        ("tokens=-1", "whole number"),
        ("tokens=1000001", "1000000"),
        ("tokens=1 tokens=2", "twice"),
        ("ttft=fast", "200ms"),
        ("ttft=2h", "at most 1h"),
        ("ttft=61m", "at most"),
        (f"ttft={'9' * 400}s", "expected a duration"),
        ("itl=gauss:1ms", "fixed"),
        ("itl=fixed(1ms,2ms)", "one duration"),
        ("id=a/b", "A-Z"),
        ("script=dance", "lockstep"),
        ("text=klingon", "unicode"),
        ("seed=0x1", "whole number"),
        ("finish=STOP", "content_filter"),
        ("heartbeat=often", "duration"),
        ("fault=gremlins", "--list-faults"),
        ("fault=crlf:3", "no argument"),
        ("fault=crlf@3", "no @"),
        ("fault=crlf@101%", "0% to 100%"),
        ("fault=no-allow@5%", "takes no rate"),
        ("fault=stall:2s@4@x%", "whole number"),
        ("trace=a/b", "A-Z"),
        ("events_per_write=0", "1 to"),
        ("fault=rst:x", "whole number"),
        ("fault=status:200", "400 to 599"),
        ("fault=stall:x", "duration"),
        ("fault=block:0", "at least 1"),
        ("fault=wrong-content-type:a\u00e9", "media type"),
        ("fault=", "unknown fault"),
    ],
)
def test_a_refusal_says_what_is_accepted(body: str, named: str) -> None:
    with pytest.raises(DirectiveError, match="mock directive") as refusal:
        find_directive(f"[[mock {body}]]")
    assert named in str(refusal.value)


def test_fault_arguments() -> None:
    arg = parse("stall:2s@3").arg
    assert (arg.duration_ns, arg.count) == (2_000_000_000, 3)
    assert parse("stall@3").arg.duration_ns is None
    assert parse("wrong-content-type:text/plain").arg.word == "text/plain"
    rated = parse("stall:2s@4@2.5%").arg
    assert (rated.duration_ns, rated.count, rated.percent) == (2_000_000_000, 4, 2.5)
    assert (parse("rst@10%").arg.count, parse("rst:5@10%").arg.count) == (None, 5)


def test_header_fields_speak_where_the_prompt_is_silent() -> None:
    headers = {"x-mock-directive": "tokens=5 seed=2 fault=bom", "x-mock-fault": "rst:5, crlf"}
    found = read_directive("[[mock tokens=3 fault=no-space]]", headers)
    assert (found.tokens, found.seed) == (3, 2)
    assert [active.fault.name for active in found.fault] == ["bom", "rst", "crlf", "no-space"]
    assert read_directive("hi", {}) == Directive()


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"x-mock-fault": "gremlins"}, "unknown fault"),
        ({"x-mock-fault": "crlf tokens=3"}, "unknown fault"),
        ({"x-mock-directive": "speed=9"}, "id, tokens"),
        ({"x-mock-directive": "tokens=1 " * 600}, "4000"),
    ],
)
def test_a_header_field_is_refused_as_a_directive_is(headers: dict[str, str], named: str) -> None:
    with pytest.raises(DirectiveError, match=named):
        read_directive("hi", headers)


def test_timeline_is_absolute() -> None:
    timeline = Timeline(parse_delay("200ms"), parse_delay("20ms"), seed=0)
    assert [timeline.offset_ns(step) for step in (-1, 0, 1, 5)] == [0, 200 * MS, 220 * MS, 300 * MS]


@pytest.mark.parametrize("kind", KINDS)
def test_texts_depend_only_on_kind_and_seed(kind: str) -> None:
    def first(seed: int) -> list[str]:
        source = token_texts(kind, seed)
        return [next(source) for _ in range(40)]

    assert first(7) == first(7)
    assert (first(7) != first(8)) is (kind != "id")
    assert all(first(7))
    assert kind != "ascii" or "".join(first(7)).isascii()


def test_ascii_text_is_the_same_on_every_machine() -> None:
    source = token_texts("ascii", 0)
    assert [next(source) for _ in range(4)] == ["It", " words", " buffer", " path"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"ttft": "soon"},
        {"itl": "-1ms"},
        {"faults": ("gremlins",)},
        {"tokens": -1},
        {"port": 70_000},
        {"text": "klingon"},
        {"heartbeat": "x"},
        {"ledger_size": 0},
        {"on_disconnect": "ask"},
    ],
)
def test_a_config_refuses_what_a_directive_would(wrong: dict) -> None:
    with pytest.raises(ValueError, match="expected"):
        MockConfig(**wrong)


def test_the_readme_names_every_key_of_a_directive_and_nothing_else() -> None:
    page = (Path(mock_provider.__file__).parent / "README.md").read_text()
    table = page[page.index("| key | value |") : page.index("## Tell the mock")]
    first_cells = " ".join(line.split("|")[1] for line in table.splitlines()[2:] if line)
    assert set(re.findall(r"`(\w+)`", first_cells)) == {field.name for field in fields(Directive)}
