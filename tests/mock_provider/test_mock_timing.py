"""Timing models by their numbers: no clock runs here but for the bursts, which the ledger tells."""

import json
import math
from pathlib import Path
from random import Random
from statistics import NormalDist, fmean, quantiles
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.mock_provider.config import MockConfig
from streamgauge.mock_provider.directive import DirectiveError, find_directive
from streamgauge.mock_provider.durations import LONGEST_NS
from streamgauge.mock_provider.embedded import MockServer
from streamgauge.mock_provider.grouping import batched, grouped
from streamgauge.mock_provider.stream import Close, Item, Kind, Write
from streamgauge.mock_provider.timing import MODELS, Timeline, parse_delay
from streamgauge.mock_provider.timing.fixed import Fixed
from streamgauge.mock_provider.timing.trace import load, replay
from streamgauge.mock_provider.timing.uniform import Uniform
from tests.mock_provider.mock_wire import exchange, request_bytes

MS = 1_000_000
SPECS = ["fixed(20ms)", "uniform(10ms,30ms)", "normal(20ms,5ms)", "lognormal(20ms,0.5)", "gamma(20ms,2)"]


def offsets(spec: str, seed: int, stream: str, count: int = 50) -> list[int]:
    timeline = Timeline(parse_delay(spec), parse_delay(spec), seed, stream)
    return [timeline.offset_ns(step) for step in range(count)]


def draws(spec: str, count: int = 20_000) -> list[int]:
    delay, random = parse_delay(spec), Random(1)
    return [delay.draw_ns(random) for _ in range(count)]


def test_every_model_is_here() -> None:
    assert {spec.partition("(")[0] for spec in SPECS} == set(MODELS)


@given(st.sampled_from(SPECS), st.integers(0, 2**63 - 1), st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True))
def test_the_same_seed_and_stream_have_the_same_schedule(spec: str, seed: int, stream: str) -> None:
    schedule = offsets(spec, seed, stream)
    assert schedule == offsets(spec, seed, stream)
    assert schedule == sorted(schedule)
    if not spec.startswith("fixed"):
        assert schedule != offsets(spec, seed + 1, stream)
        assert schedule != offsets(spec, seed, stream + "x")


@given(
    st.sampled_from(["uniform(0,{0}ms)", "normal({0}ms,{1}ms)", "lognormal({0}ms,9.9)", "gamma({0}ms,0.01)"]),
    st.integers(0, 3_600_000),
    st.integers(1, 3_600_000),
    st.integers(0, 1_000),
)
def test_a_delay_is_never_negative_and_never_beyond_an_hour(spec: str, first: int, second: int, seed: int) -> None:
    delay, random = parse_delay(spec.format(first, second)), Random(seed)
    assert all(0 <= delay.draw_ns(random) <= LONGEST_NS for _ in range(20))


# What the distributions say, in ms: mean, and the quartiles where they have a simple form.
@pytest.mark.parametrize(
    ("spec", "mean", "quartiles"),
    [
        ("20ms", 20, (20, 20, 20)),
        ("uniform(10ms,30ms)", 20, (15, 20, 25)),
        ("normal(20ms,2ms)", 20, tuple(NormalDist(20, 2).quantiles(4))),
        (
            "normal(0,10ms)",
            10 * math.sqrt(2 / math.pi),
            tuple(10 * NormalDist().inv_cdf(q) for q in (0.625, 0.75, 0.875)),
        ),
        ("lognormal(20ms,0.5)", 20 * math.exp(0.125), tuple(20 * math.exp(0.5 * z) for z in NormalDist().quantiles(4))),
        ("gamma(20ms,1)", 20, tuple(-20 * math.log(1 - q) for q in (0.25, 0.5, 0.75))),
        ("gamma(20ms,4)", 20, None),
    ],
)
def test_samples_follow_the_model(spec: str, mean: float, quartiles: tuple[float, ...] | None) -> None:
    sample = draws(spec)
    assert fmean(sample) / MS == pytest.approx(mean, rel=0.03)
    if quartiles is not None:
        assert [cut / MS for cut in quantiles(sample, n=4)] == pytest.approx(list(quartiles), rel=0.04)


def test_the_deviation_of_gamma_is_mean_over_the_root_of_the_shape() -> None:
    sample = draws("gamma(20ms,4)")
    mean = fmean(sample)
    assert math.sqrt(fmean((value - mean) ** 2 for value in sample)) == pytest.approx(10 * MS, rel=0.03)


def test_a_model_in_a_directive_may_have_spaces_in_its_parentheses() -> None:
    found = find_directive("[[mock ttft=uniform(10ms, 30ms) tokens=3 itl=fixed( 5ms )]]")
    assert (found.ttft, found.tokens, found.itl) == (Uniform(10 * MS, 30 * MS), 3, Fixed(5 * MS))


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("uniform(10ms)", "two arguments"),
        ("uniform(30ms,10ms)", "lower bound first"),
        ("normal(20ms,0)", "deviation above 0"),
        ("normal(20ms,5)", "duration"),
        ("lognormal(20ms,0)", "sigma"),
        ("lognormal(20ms,11)", "at most 10"),
        ("gamma(20ms,-1)", "shape"),
        ("gauss(20ms)", "uniform, normal"),
        ("gamma(20ms,2", "gamma"),
        ("gamma((20ms,2))", "gamma"),
        ("", "duration"),
    ],
)
def test_a_wrong_model_is_told_what_is_accepted(spec: str, named: str) -> None:
    with pytest.raises(ValueError, match="expected") as refusal:
        parse_delay(spec)
    assert named in str(refusal.value)


def test_prefill_comes_before_the_first_token_and_load_stretches_the_gaps() -> None:
    plain = Timeline(parse_delay("20ms"), parse_delay("5ms"), 0)
    loaded = Timeline(parse_delay("20ms"), parse_delay("5ms"), 0, prefill_ns=7 * MS, stretch=lambda gap_ns: gap_ns + MS)
    assert [plain.offset_ns(step) // MS for step in (-1, 0, 1, 2)] == [0, 20, 25, 30]
    assert [loaded.offset_ns(step) // MS for step in (-1, 0, 1, 2)] == [0, 27, 33, 39]


# Traces


def test_csv_rows_are_replayed_in_order_and_round_and_round(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("ttft_ms,gaps\n100,10,20\n\n50.5\n")
    trace = load(file)
    rows = [trace.take() for _ in range(3)]
    assert [row.ttft_ns for row in rows] == [100 * MS, 50_500_000, 100 * MS]
    gaps, random = replay(rows[0]), Random(0)
    assert [gaps.draw_ns(random) // MS for _ in range(5)] == [10, 20, 10, 20, 10]
    assert replay(rows[1]).draw_ns(random) == 0


@pytest.mark.parametrize(
    ("header", "row"), [("ttft_s", "0.5,0.02"), ("ttft_us", "500000,20000"), ("ttft_ns,gaps", "500000000,20000000")]
)
def test_the_header_says_the_unit_of_a_trace(tmp_path: Path, header: str, row: str) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\n{row}\n")
    found = load(tmp_path / "a.csv").take()
    assert (found.ttft_ns // MS, found.gaps_ns[0] // MS) == (500, 20)


def test_seconds_that_would_be_read_as_milliseconds_are_refused(tmp_path: Path) -> None:
    file, row = tmp_path / "a.csv", "1.2,0.02,0.019,0,0.021\n"
    for head in ("", "ttft,gaps\n"):
        file.write_text(head + row)
        with pytest.raises(ValueError, match="if they are seconds, make ttft_s the first line"):
            load(file)
    file.write_text("ttft_ms\n" + row)
    assert load(file).take().gaps_ns[0] == 20_000


def test_records_of_a_run_are_read_by_their_fields(tmp_path: Path) -> None:
    file = tmp_path / "streams.jsonl"
    records = [
        {
            "id": "a",
            "sent_ns": 1 * MS,
            "reads": {"at_ns": [5 * MS, 21 * MS, 24 * MS, 30 * MS]},
            "token_reads": [1, 2, 2, 3],
        },
        {"id": "failed", "reads": {"at_ns": []}},
    ]
    file.write_text("\n".join(json.dumps(record) for record in records) + "\n")
    row = load(file).take()
    assert (row.ttft_ns, list(row.gaps_ns)) == (20 * MS, [3 * MS, 0, 6 * MS])


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"100,x\n", "line 1"),
        (b"ttft_ms\n1\n-3\n", "line 3"),
        (b"nan\n", "line 1"),
        (b"ttft_min\n1\n", "line 1: 'ttft_min' has no known unit"),
        (b"ttft (s)\n1\n", "has no known unit"),
        (b"", "no stream"),
        (b'{"reads":{"at_ns":[]},"token_reads":[0]}\n', "line 1"),
        (b"{,}\n", "line 1"),
        (b"{}\n[]\n", "line 2"),
        (b"\xff\xfe", "neither CSV"),
    ],
)
def test_a_wrong_trace_says_where(tmp_path: Path, content: bytes, named: str) -> None:
    file = tmp_path / "trace"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=named):
        load(file)


def test_a_trace_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="can't read"):
        load(tmp_path / "none.csv")


def test_a_stream_replays_a_trace_with_its_tokens(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("30,5,5,5\n")
    config = MockConfig(traces=(f"slow={file}",))
    with MockServer(config) as server, httpx.Client(base_url=f"{server.url}/_mock") as control:
        answer = exchange(server.url, request_bytes("raw-text", "[[mock id=a trace=slow]]"))
        assert len(answer.chunks) == 4
        entry = control.get("/streams/a").json()["streams"][0]
        first, last = (entry["writes"]["t_ns"][entry["writes"]["token"].index(token)] for token in (0, 3))
        assert first - entry["arrival_ns"] > 29 * MS
        assert last - entry["arrival_ns"] > 44 * MS  # deadlines count from the arrival, however late the first was
        refused = exchange(server.url, request_bytes("raw-text", "[[mock trace=fast]]"))
        assert (refused.status, b"there are slow" in refused.rest) == (400, True)


def test_replay_names_the_trace_of_all_other_streams(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("0,0\n0,0,0,0\n")
    with MockServer(MockConfig(traces=(f"x={file}",), replay="x")) as server:
        lengths = [len(exchange(server.url, request_bytes("raw-text", "hi")).chunks) for _ in range(3)]
    assert lengths == [2, 4, 2]


@pytest.mark.parametrize("wrong", [{"traces": ("x",)}, {"traces": ("=a",)}, {"replay": "x"}])
def test_a_trace_is_written_name_and_file(wrong: dict) -> None:
    with pytest.raises(ValueError, match="expected"):
        MockConfig(**wrong).trace_files()


# Bursts


def test_neighbouring_tokens_share_an_event() -> None:
    items = [Item(Kind.START, -1), *(Item(Kind.TOKEN, i, str(i), i) for i in range(5)), Item(Kind.DONE, 5)]
    joined = list(grouped(iter(items), 2))
    assert [(item.text, item.step, item.token, item.size) for item in joined[1:-1]] == [
        ("01", 1, 1, 2),
        ("23", 3, 3, 2),
        ("4", 4, 4, 1),
    ]
    assert [joined[0], joined[-1]] == [items[0], items[-1]]


def test_neighbouring_events_share_a_write_but_never_cross_a_close() -> None:
    writes = [Write(Kind.TOKEN, i, b"%d" % i, i) for i in range(3)]
    joined = list(batched(iter([*writes, Close(reset=True)]), 2))
    assert joined == [Write(Kind.TOKEN, 1, b"01", 1), Write(Kind.TOKEN, 2, b"2", 2), Close(reset=True)]


@pytest.mark.parametrize(
    ("asked", "tokens"),
    [
        ("tokens_per_event=2", [None, 1, 3, 4, None, None, None, None]),
        ("events_per_write=2", [None, 1, 3, 4, None, None, None, None]),
        ("tokens_per_event=2 events_per_write=2", [None, 3, 4, None, None, None, None]),
    ],
)
def test_bursts_are_in_the_ledger(
    mock: MockServer, control: httpx.Client, asked: str, tokens: list[int | None]
) -> None:
    stream_id = f"t-{uuid4().hex[:12]}"
    prompt = f"[[mock id={stream_id} tokens=5 seed=3 {asked}]]"
    answer = exchange(mock.url, request_bytes("openai-chat", prompt))
    plain = exchange(mock.url, request_bytes("openai-chat", "[[mock tokens=5 seed=3]]"))
    payloads = [json.loads(line[6:]) for line in answer.body.split(b"\n\n") if line and b"[DONE]" not in line]
    text = "".join(choice["delta"].get("content", "") for value in payloads for choice in value["choices"])
    assert text == "".join(
        json.loads(chunk[6:])["choices"][0]["delta"].get("content", "") for chunk in plain.chunks[:6]
    )
    assert payloads[-1]["usage"]["completion_tokens"] == 5
    written = control.get(f"/streams/{stream_id}?wait=5").json()["streams"][0]["writes"]["token"]
    assert [token for token in written if token is not None] == [token for token in tokens if token is not None]


def test_a_burst_of_nothing_is_refused() -> None:
    with pytest.raises(DirectiveError, match="1 to"):
        find_directive("[[mock tokens_per_event=0]]")
