"""Asking a server for its figures: found once, then once a second; what goes wrong costs the lane and not the run."""

import socket
import threading
import time
from pathlib import Path

import pytest

from streamgauge.endpoint.target import Target
from streamgauge.errors import CannotMeasure, UsageError
from streamgauge.secrets import hide
from streamgauge.serverlane.samples import SERVER, read_samples
from streamgauge.serverlane.scrape import MAX_ANSWER_BYTES, Scraper, Source
from tests.builders.listening import Listening

BODY = b"vllm:num_requests_running 4\nvllm:num_requests_waiting 1\n"


class Metrics(Listening):
    """Answers each path with a body; `answers` counts, and a body that is None is a 404."""

    def __init__(self, bodies: dict[str, bytes]) -> None:
        super().__init__()
        self.bodies = bodies
        self.asked: list[str] = []
        self.enough = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        request = connection.makefile("rb")
        while line := request.readline():
            path = line.split()[1].decode()
            while request.readline().strip():
                pass
            self.asked.append(path)
            if len(self.asked) > 4:
                self.enough.set()
            body = self.bodies.get(path)
            status = b"200 OK" if body is not None else b"404 Not Found"
            body = body or b""
            connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)


def target(server: Metrics) -> Target:
    return Target(url=f"{server.url}/v1/chat/completions", headers={"Authorization": "Bearer sk-never-sent-there"})


def test_auto_finds_the_figures_on_the_endpoints_own_address() -> None:
    with Metrics({"/load": b'{"server_load": 3}'}) as server:
        source = Source(target(server), "auto")
        assert (source.engine.name, source.url) == ("vLLM, HTTP layer", f"{server.url}/load")
        assert source.figures().running == 3
        source.close()
    assert server.asked[0] == "/metrics"


def test_a_server_without_known_figures_is_refused_with_what_was_tried() -> None:
    with Metrics({"/metrics": b"process_cpu_seconds_total 4\n"}) as server:
        with pytest.raises(CannotMeasure, match="none of the known metrics in its 28 bytes") as error:
            Source(target(server), f"{server.url}/metrics")
        assert "vLLM" in str(error.value.hint)
        with pytest.raises(CannotMeasure, match="/prometheus/metrics, /get_load, /load, /slots: HTTP 404"):
            Source(target(server), "auto")


def test_an_answer_without_an_end_is_cut() -> None:
    endless = {"/metrics": BODY + b"#" * MAX_ANSWER_BYTES}
    with Metrics(endless) as server, pytest.raises(CannotMeasure, match="no end after"):
        Source(target(server), f"{server.url}/metrics")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/metrics", "http://user:password@127.0.0.1/metrics", "nonsense"])
def test_an_address_that_cannot_be_asked_is_a_mistake_of_the_user(url: str) -> None:
    with pytest.raises((UsageError, CannotMeasure)):
        Source(Target(url="http://127.0.0.1:9/chat"), url)


def test_a_secret_in_the_address_is_hidden() -> None:
    with Metrics({"/metrics?api_key=sk-0123456789abcdef": BODY}) as server:
        source = Source(target(server), f"{server.url}/metrics?api_key=sk-0123456789abcdef")
        assert "0123456789abcdef" not in source.masked_url
        assert "0123456789abcdef" not in hide("it said sk-0123456789abcdef")
        source.close()


def test_samples_are_written_while_the_load_runs_and_failures_are_counted(tmp_path: Path) -> None:
    with Metrics({"/metrics": BODY}) as server:
        scraper = Scraper(Source(target(server), f"{server.url}/metrics"), tmp_path, every_s=0.01)
        with scraper:
            assert server.enough.wait(20)
            server.bodies.clear()
            while not scraper.failed:
                time.sleep(0.01)
    samples = list(read_samples(tmp_path))

    assert len(samples) >= 3
    assert {(one.figures.running, one.figures.waiting) for one in samples} == {(4, 1)}
    assert all(one.begin_ns <= one.at_ns <= one.end_ns for one in samples)
    assert scraper.failure == "HTTP 404"


def test_lines_that_are_torn_or_foreign_are_left_out(tmp_path: Path) -> None:
    assert list(read_samples(tmp_path)) == []
    good = b'{"begin_ns":1,"end_ns":3,"figures":{"running":1}}\n'
    (tmp_path / SERVER).write_bytes(b"nonsense\n" + good + b"[" * 9_000 + b"\n" + good + good[:20])

    assert [one.at_ns for one in read_samples(tmp_path)] == [2, 2]
