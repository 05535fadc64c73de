"""HTTP/2 against nginx in front of the mock."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from subprocess import CompletedProcess
from typing import NamedTuple
from uuid import uuid4

import pytest
import trustme

from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target, directive
from streamgauge.errors import UsageError
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.reader import StreamReader
from streamgauge.rundir.runs import RecordReader
from streamgauge.transport.connection import Close
from streamgauge.transport.native import SWITCH
from streamgauge.transport.tls import tls_context
from streamgauge.units import MS
from streamgauge.wire import End, Framing
from tests.builders.ended import ended_well
from tests.e2e.conftest import NGINX, _wait_for, free_port

CONF = """
daemon off; worker_processes 1; pid {dir}/pid; error_log {dir}/error.log;
events {{ worker_connections 512; }}
http {{
  log_format numbers '$connection';
  access_log {dir}/access.log numbers;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  ssl_certificate {dir}/chain.pem; ssl_certificate_key {dir}/key.pem;
  ssl_client_certificate {dir}/ca.pem; ssl_verify_client optional;
  proxy_buffering off; proxy_http_version 1.1;
  server {{
    listen 127.0.0.1:{plain} http2; listen 127.0.0.1:{tls} ssl http2; listen 127.0.0.1:{old} ssl;
    location / {{ proxy_pass {upstream}; }}
    location /members {{ if ($ssl_client_verify != SUCCESS) {{ return 403; }}
                         proxy_pass {upstream}/v1/chat/completions; }}
  }}
}}
"""

CHAT = "/v1/chat/completions"
Run = Callable[..., "CompletedProcess[str]"]


class Front(NamedTuple):
    """Where nginx listens, and the files of its authority."""

    plain: str
    tls: str
    old: str
    directory: Path

    @property
    def ca(self) -> str:
        return str(self.directory / "ca.pem")


@pytest.fixture(scope="module")
def front(mock: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    if NGINX is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    directory = tmp_path_factory.mktemp("h2")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.pem")
    server = authority.issue_cert("127.0.0.1", "localhost")
    server.private_key_pem.write_to_path(directory / "key.pem")
    (directory / "chain.pem").write_bytes(b"".join(pem.bytes() for pem in server.cert_chain_pems))
    member = authority.issue_cert("member@example.org")
    member.private_key_and_cert_chain_pem.write_to_path(directory / "member.pem")
    plain, tls, old = free_port(), free_port(), free_port()
    conf = directory / "nginx.conf"
    conf.write_text(CONF.format(dir=directory, plain=plain, tls=tls, old=old, upstream=mock))
    process = subprocess.Popen([NGINX, "-e", str(directory / "early.log"), "-c", str(conf)])
    _wait_for(old, process)
    yield Front(f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}", f"https://127.0.0.1:{old}", directory)
    process.terminate()
    process.wait(10)


@pytest.mark.parametrize("scheme", ["plain", "tls"])
def test_a_stream_over_http2_is_captured_like_any_other(front: Front, mock: str, scheme: str) -> None:
    target = Target(url=getattr(front, scheme) + CHAT, http2=True, ca=front.ca)
    stream_id = uuid4().hex[:12]
    with StreamClient.to(target) as client:
        first = client.run(target.request(f"a {directive(id=stream_id, tokens=30, itl='5ms')}"), deadline_s=30)
        second = client.run(target.request("again"), deadline_s=30)

    capture = first.capture
    assert (first.outcome, second.outcome) == (Outcome.OK, Outcome.OK)
    assert capture.head is not None
    assert (capture.head.http_version, capture.framing, capture.end) == ("2", Framing.STREAM, End.COMPLETE)
    assert (capture.reused, second.capture.reused) == (False, True)
    assert (capture.tls_ns is not None, second.capture.tls_ns) == (scheme == "tls", None)
    assert sum(not read.stamped for read in capture.reads) <= 1, "kernel stamps are missing"
    assert capture.sent_ns is not None
    assert capture.start_ns < capture.sent_ns < capture.reads[0].user_ns
    arrived = [first.time_of(event) for event, _ in first.tokens]
    with MockControl(mock) as ledger:
        written = ledger.entries(stream_id)[0].token_ns()
    assert len(arrived) == len(written) == 30
    # One clock: a token cannot be here before it was written.
    assert all(there <= here for there, here in zip(written, arrived, strict=True))
    assert len(set(arrived)) > 3, "tokens written apart came in one read"


@pytest.mark.parametrize("how", [Close.RST_STREAM, Close.FIN, Close.RST])
def test_leaving_reaches_the_upstream_and_the_client_goes_on(front: Front, mock: str, how: Close) -> None:
    target = Target(url=front.tls + CHAT, http2=True, ca=front.ca)
    stream_id = uuid4().hex[:12]

    def enough(reader: StreamReader) -> Close | None:
        return how if reader.token_events >= 3 else None

    with StreamClient.to(target) as client, MockControl(mock) as ledger:
        left = client.run(
            target.request(f"a {directive(id=stream_id, tokens=300, itl='10ms')}"), on_token=enough, deadline_s=30
        )
        entry = ledger.entries(stream_id, wait_s=10)[0]
        after = client.run(target.request("again"), deadline_s=30)
    assert (left.outcome, after.outcome) == (Outcome.CANCELLED, Outcome.OK)
    assert entry.end == "disconnected"
    assert entry.disconnect is not None
    assert len(entry.token_ns()) < 300


def test_a_deadline_ends_a_stream_and_a_time_to_leave_leaves_it_before_its_first_token(front: Front) -> None:
    target = Target(url=front.plain + CHAT, http2=True)
    slow = target.request(f"a {directive(tokens=5, ttft='20s')}")
    with StreamClient.to(target) as client:
        assert client.run(slow, deadline_s=0.2).capture.end is End.TIMEOUT
        assert client.run(slow, leave_after=(0.2, Close.RST_STREAM), deadline_s=30).outcome is Outcome.CANCELLED


def test_a_server_without_http2_is_named_and_not_measured_over_http1(front: Front, mock: str) -> None:
    for url, words in ((front.old, "does not offer HTTP/2"), (mock, "does the endpoint speak HTTP/2")):
        target = Target(url=url + CHAT, http2=True, ca=front.ca)
        with StreamClient.to(target) as client:
            transcript = client.run(target.request())
        assert transcript.outcome is not Outcome.OK
        assert words in (transcript.detail or "")


def test_a_client_certificate_is_shown(front: Front) -> None:
    answers = []
    for cert in (None, str(front.directory / "member.pem")):
        target = Target(url=front.old + "/members", ca=front.ca, cert=cert, dialect="openai-chat")
        with StreamClient.to(target) as client:
            answers.append(client.run(target.request()).outcome)
    assert answers == [Outcome.HTTP_ERROR, Outcome.OK]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ca": "nowhere.pem"}, "nowhere.pem cannot be read"),
        ({"ca": "{dir}/nginx.conf"}, "no certificate"),
        ({"cert": "nowhere.pem"}, "nowhere.pem cannot be read"),
        ({"cert": "{dir}/member.pem:{dir}/key.pem"}, "does not belong"),
        ({"cert": "{dir}/ca.pem:{dir}/nginx.conf"}, "not a certificate with its key"),
        ({"insecure": True, "ca": "{dir}/ca.pem"}, "trusts one CA only"),
    ],
)
def test_files_that_cannot_be_used_are_named(front: Front, options: dict[str, str | bool], words: str) -> None:
    given = {
        name: value.format(dir=front.directory) if isinstance(value, str) else value for name, value in options.items()
    }
    with pytest.raises(UsageError, match=words):
        tls_context(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("scheme", ["plain", "tls"])
def test_a_load_of_many_streams_has_each_token_once_and_after_it_was_written(
    streamgauge: Run, front: Front, mock: str, tmp_path: Path, scheme: str
) -> None:
    """More streams than MANY of epoll_collector, so that reads are collected. No time is asserted."""
    done = streamgauge(
        "load", getattr(front, scheme) + CHAT, "--http2", "--ca", front.ca, "--users", "24", "--duration", "1s",
        "--mock", mock, "--out", tmp_path, "--no-report",
    )  # fmt: skip
    assert ended_well(done.returncode, done.stderr), done.stderr
    records = list(RecordReader(tmp_path))
    assert {record.outcome for record in records} <= {Outcome.OK, Outcome.INCOMPLETE}
    whole = [record for record in records if record.outcome is Outcome.OK]
    assert len({record.id for record in whole}) == len(whole) >= 24
    assert any(record.reused for record in whole)
    with MockControl(mock) as ledger:
        for record in whole:
            written = ledger.entries(record.id)[0].token_ns()
            arrived = [record.start_ns + record.reads.at_ns[read] for read in record.token_reads]
            assert len(arrived) == len(written)
            assert all(there <= here for there, here in zip(written, arrived, strict=True))
            assert record.reads.at_ns == sorted(record.reads.at_ns)
            assert all(lag >= 0 for lag in record.reads.lag_ns)
    assert {record.stamp_source for record in whole} <= {"kernel", "mixed"}
    assert "kernel" in {record.stamp_source for record in whole}


@pytest.mark.parametrize(
    ("reader", "scheme", "processes"), [("native", "plain", 1), ("python", "plain", 1), ("native", "tls", 2)]
)
def test_forty_users_share_four_connections_of_their_process(
    streamgauge: Run, front: Front, mock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    reader: str, scheme: str, processes: int,
) -> None:  # fmt: skip
    """Some users leave early: that ends their own streams only."""
    monkeypatch.setenv(SWITCH, reader)
    log = front.directory / "access.log"
    before = len(log.read_text())
    done = streamgauge(
        "load", getattr(front, scheme) + CHAT, "--ca", front.ca, "--http2", "--connections", "4", "--users", "40",
        "--processes", processes, "--duration", "3s", "--drain", "20s", "--abandon", "20%@tokens:3..9", "--mock", mock,
        "--out", tmp_path, "--no-report",
    )  # fmt: skip
    assert ended_well(done.returncode, done.stderr), done.stderr
    records = list(RecordReader(tmp_path))
    assert {record.outcome for record in records} == {Outcome.OK, Outcome.CANCELLED}
    assert len({record.id for record in records}) == len(records) >= 40
    streams = Counter(log.read_text()[before:].split())
    connections = 4 * processes
    assert sum(count > 1 for count in streams.values()) == connections, (
        "one more had the request that tried the endpoint"
    )
    assert sum(not record.reused for record in records) == connections
    assert sum(record.tls_ns is not None for record in records) == (connections if scheme == "tls" else 0)
    late_ns = []
    with MockControl(mock) as ledger:
        for record in records:
            written = ledger.entries(record.id)[0].token_ns()
            arrived = [record.start_ns + record.reads.at_ns[read] for read in record.token_reads]
            assert len(arrived) == len(written) or record.outcome is Outcome.CANCELLED
            assert all(there <= here for there, here in zip(written, arrived, strict=False))
            assert record.intended_ns is not None
            assert record.intended_ns <= record.start_ns
            late_ns.append(arrived[0] - written[0])
    assert median(late_ns) < 50 * MS


@pytest.mark.parametrize("options", [["--connections", "2"], ["--http2", "--connections", "0"]])
def test_connections_need_http2_and_a_number(streamgauge: Run, front: Front, options: list[str]) -> None:
    done = streamgauge("load", front.plain + CHAT, *options)
    assert done.returncode == 2
    assert "--connections" in done.stderr


def test_a_patched_process_reads_two_streams_at_once(front: Front) -> None:
    """Without a watch, on gevent's sockets: greenlets that wait must not hold each other up."""
    program = (
        "from gevent import monkey; monkey.patch_all()\n"
        "import gevent, sys\n"
        "from streamgauge.endpoint.client import StreamClient\n"
        "from streamgauge.endpoint.target import Target, directive\n"
        "target = Target(url=sys.argv[1], http2=True, ca=sys.argv[2])\n"
        "def one():\n"
        "    with StreamClient.to(target) as client:\n"
        "        return client.run(target.request(directive(tokens=20, itl='10ms')), deadline_s=30).capture\n"
        "a, b = [job.get() for job in [gevent.spawn(one), gevent.spawn(one)]]\n"
        "print(a.end, b.end, max(a.start_ns, b.start_ns) < min(a.end_ns, b.end_ns))\n"
    )
    command = [sys.executable, "-c", program, front.tls + CHAT, front.ca]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["complete", "complete", "True"], done.stderr
