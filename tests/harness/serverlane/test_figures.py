"""What is read out of an engine's answer: its figures, or nothing; foreign bytes never raise."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.serverlane.engine import Format, engines, paths
from streamgauge.serverlane.figures import Figures, Seconds, engine_of, read

VLLM = b"""# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 5.0
vllm:num_requests_waiting{engine="0",model_name="m"} 2
vllm:kv_cache_usage_perc{engine="0"} 0.25
vllm:kv_cache_usage_perc{engine="1"} 0.75 1700000000000
vllm:generation_tokens_total{engine="0"} 1.5e+03
vllm:request_queue_time_seconds_bucket{le="0.3"} 7
vllm:request_queue_time_seconds_sum 1.25
vllm:request_queue_time_seconds_count 10
"""
TRITON = b"""nv_trt_llm_request_metrics{model="a",request_type="active",version="1"} 9
nv_trt_llm_request_metrics{model="a",request_type="scheduled",version="1"} 6
nv_trt_llm_request_metrics{model="b",request_type="scheduled",version="1"} 1
nv_trt_llm_request_metrics{model="a",request_type="waiting",version="1"} 3
nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="fraction",model="a"} 0.5
"""


@pytest.mark.parametrize(
    ("path", "body", "engine", "expected"),
    [
        ("/metrics", VLLM, "vllm",
         Figures(running=8, waiting=2, kv_share=0.75, generated=1_500, queue=Seconds(10, 1.25))),
        ("/metrics", TRITON, "triton", Figures(running=7, waiting=3, kv_share=0.5)),
        ("/metrics", b"sglang:num_running_reqs{m=\"x\"} 4.0\nsglang:num_queue_reqs 1\nsglang:token_usage 0.1\n",
         "sglang", Figures(running=4, waiting=1, kv_share=0.1)),
        ("/metrics", b"tgi_batch_current_size 2\ntgi_queue_size 0\n", "tgi", Figures(running=2, waiting=0)),
        ("/metrics", b"llamacpp:requests_processing 1\nllamacpp:requests_deferred 6\n", "llama-cpp",
         Figures(running=1, waiting=6)),
        ("/prometheus/metrics", b"trtllm_num_requests_running 1\ntrtllm_num_requests_waiting 0\n", "trtllm",
         Figures(running=1, waiting=0)),
        ("/metrics", b"dynamo_frontend_inflight_requests 12\ndynamo_frontend_queued_requests 2\n", "dynamo",
         Figures(running=10, waiting=2)),
        ("/metrics", b'http_server_active_requests{method="POST"} 5\naspnetcore_rate_limiting_queued_requests 1\n',
         "kestrel", Figures(running=4, waiting=1)),
        ("/metrics", b"http_server_active_requests 5\n", "kestrel", Figures(running=5)),
        ("/load", b'{"server_load": 17}', "vllm-load", Figures(running=17)),
        ("/get_load", b'[{"num_reqs":4,"num_waiting_reqs":1},{"num_reqs":2,"num_waiting_reqs":0,"dp_rank":1}]',
         "sglang-load", Figures(running=5, waiting=1)),
        ("/get_load", b'[{"num_running_reqs":4,"num_waiting_reqs":1,"num_reqs":5}]', "sglang-load",
         Figures(running=4, waiting=1)),
        ("/slots", b'[{"id":0,"is_processing":true},{"id":1,"is_processing":false},{"id":2,"is_processing":true}]',
         "llama-cpp-slots", Figures(running=2)),
        ("/base/slots", b"[]", "llama-cpp-slots", Figures(running=0)),
    ],
)  # fmt: skip
def test_each_engine_is_known_by_its_answer(path: str, body: bytes, engine: str, expected: Figures) -> None:
    assert engine_of(path, body) == engine
    assert read(engines()[engine], body) == expected


def test_every_engine_has_an_example_above_and_a_place_to_ask() -> None:
    examples = test_each_engine_is_known_by_its_answer.pytestmark[0].args[1]

    assert {case[2] for case in examples} == engines().keys()
    assert set(paths()) == {engine.path for engine in engines().values()}
    assert next(iter(paths())) == "/metrics"
    assert all(engine.trap.endswith(".") for engine in engines().values())


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"vllm:num_requests_running", b"vllm:num_requests_running{", b"vllm:num_requests_running NaN",
        b"vllm:num_requests_running +Inf", b"vllm:num_requests_running 1e300", b"vllm:num_requests_running_total 4",
        b"\xff\xfe", b"not_vllm:num_requests_running 4", b"null", b"[[]]", b"{}", b'{"server_load": "4"}',
        b'{"server_load": 1e300}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/metrics", "/load", "/slots"])
def test_an_answer_without_figures_has_no_engine(path: str, body: bytes) -> None:
    assert engine_of(path, body) is None


def test_a_damaged_line_costs_itself_only() -> None:
    found = read(engines()["vllm"], VLLM.replace(b'{engine="1",model_name="m"} 5.0', b'{engine="1" 5.0.0'))

    assert found is not None
    assert (found.running, found.waiting) == (3, 2)


@pytest.mark.parametrize(
    "line",
    [
        b" " * 16_000 + b"x y z",
        b"{" + b"a" * 16_000 + b"} 1",
        b'{a="' + b"," * 16_000 + b"} 1",
        b"{" + b'a="' * 5_000 + b"} 1",
        b"{" + b"} } " * 4_000 + b"1",
        b"{" + b"}" * 16_000 + b" 1 x",
        b" 1" + b" " * 16_000 + b"x",
    ],
)
def test_a_long_line_is_read_in_linear_time(line: bytes) -> None:
    began_s = time.process_time()

    assert engine_of("/metrics", b"vllm:num_requests_running" + line + b"\nvllm:num_requests_running 2\n") == "vllm"
    assert time.process_time() - began_s < 5  # with backtracking over every split: a minute


def test_a_sum_that_no_server_counts_to_is_no_figure() -> None:
    assert read(engines()["vllm"], b"vllm:num_requests_running 9e15\n" * 3) == Figures()


@given(st.binary(max_size=200) | st.text(alphabet='vllm:nu_{}="01. \ne+-').map(str.encode))
def test_foreign_bytes_give_figures_or_nothing(body: bytes) -> None:
    for engine in engines().values():
        found = read(engine, b"vllm:num_requests_running " + body if engine.format is Format.PROMETHEUS else body)
        assert found is None or isinstance(found, Figures)
