"""Run directories for the tests, built from the same structs that the commands write."""

from pathlib import Path

from streamgauge.conformance.result import CheckResult, ChecksFile, Evidence, Verdict
from streamgauge.diagnosis.cancellation import CancellationFile, CancelRow
from streamgauge.diagnosis.patterns import ConfigFix, DiagnosisFile, PathFinding, Pattern
from streamgauge.metrics.slo import parse_slo
from streamgauge.metrics.summary import Summary, Totals
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import SCHEMA, Reads, StreamRecord
from streamgauge.rundir import runs
from streamgauge.rundir.runs import RunFile
from streamgauge.units import MS, SECOND

EPOCH = 1_763_700_000 * SECOND
HOSTILE = "<script>alert(1)</script> ]]> \x1b[31mred\x1b[0m \x00\x08\u202e | `tick` **bold** {{ 7*7 }} $x$"


def stream(
    number: int,
    *,
    ttft_ms: float = 200,
    itl_ms: float = 20,
    tokens: int = 10,
    outcome: Outcome = Outcome.OK,
    detail: str | None = None,
    scenario: str | None = None,
    per_read: int = 1,
) -> StreamRecord:
    """A stream that begins `number` × 50 ms into the run."""
    at = [int((ttft_ms + itl_ms * read) * MS) for read in range(-(-tokens // per_read))]
    end = at[-1] + MS if at else None
    return StreamRecord(
        schema=SCHEMA,
        id=f"s{number}",
        outcome=outcome,
        detail=detail,
        scenario=scenario,
        method="POST",
        url="http://127.0.0.1:9/v1/chat/completions",
        dialect="openai-chat",
        status=200,
        start_ns=EPOCH + number * 50 * MS,
        headers_ns=at[0] if at else None,
        first_byte_ns=at[0] if at else None,
        first_chunk_ns=at[0] if at else None,
        end_ns=end,
        closed_ns=end or MS,
        events=tokens,
        reads=Reads(at, [100_000] * len(at), [64] * len(at)),
        token_reads=[token // per_read for token in range(tokens)],
        output_tokens=tokens or None,
        tokens_source="usage" if tokens else None,
        stamp_source="kernel",
    )


def summary_of(records: list[StreamRecord]) -> Summary:
    totals = Totals([parse_slo("ttft < 500ms")])
    for record in records:
        totals.add(record)
    return totals.summary()


def write_streams(directory: Path, records: list[StreamRecord]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    writer = runs.RecordWriter(directory)
    for record in records:
        writer.add(record)
    writer.close()


def manifest(summary: Summary | None = None, **changes: object) -> RunFile:
    given: dict[str, object] = {
        "command": "load",
        "target": "http://127.0.0.1:9/v1/chat/completions",
        "started": "2025-11-21T10:00:00Z",
        "status": "complete" if summary else "running",
        "settings": {"users": 5, "slos": ["ttft < 500 ms"], "rate": None},
        "machine": runs.Machine("Linux 6.1", "3.11.2", 4),
        "summary": summary,
        **changes,
    }
    return RunFile(**given)  # type: ignore[arg-type]


def check(name: str, verdict: Verdict, **changes: object) -> CheckResult:
    given: dict[str, object] = {
        "id": f"framing.{name}",
        "group": "framing",
        "verdict": verdict,
        "level": "MUST",
        "severity": "high",
        "basis": "spec",
        "statement": f"the statement of {name}",
        "actual": f"the actual of {name}",
        **changes,
    }
    return CheckResult(**given)  # type: ignore[arg-type]


def checks_file(results: list[CheckResult], *, strict: bool = False) -> ChecksFile:
    return ChecksFile(
        target="http://127.0.0.1:9/v1/chat/completions",
        dialect="openai-chat",
        position="direct",
        streamgauge="0.1.0",
        started="2025-11-21T10:01:00Z",
        strict=strict,
        requests=7,
        summary={},
        results=results,
    )


EVERY_VERDICT = [
    check("good", Verdict.PASS),
    check(
        "bad",
        Verdict.FAIL,
        expected="two newlines",
        evidence=[Evidence("happy", "the last event", 1207, r"data: x\n")],
        reproduce="curl -N http://127.0.0.1:9/",
        fix="write a blank line",
    ),
    check("soft", Verdict.WARN, level="SHOULD"),
    check("fact", Verdict.INFO, level="MAY"),
    check("none", Verdict.NOT_APPLICABLE),
    check("open", Verdict.INCONCLUSIVE, needs="--mock URL"),
    check("broken", Verdict.ERROR),
]


def cancel_row(**changes: object) -> CancelRow:
    given: dict[str, object] = {
        "path": "direct",
        "phase": "mid-stream",
        "method": "FIN",
        "verdict": "pass",
        "seen": True,
        "propagation_ms": 12.5,
        "clock_error_ms": 0.05,
        "tokens_received": 8,
        "wasted_tokens": 3,
        "upstream_end": "disconnect",
        "upstream_kind": "fin",
        "upstream_requests": 1,
        **changes,
    }
    return CancelRow(**given)  # type: ignore[arg-type]


def cancellation_file(rows: list[CancelRow]) -> CancellationFile:
    return CancellationFile(
        target="http://127.0.0.1:9/", mock="http://127.0.0.1:10", started="2025-11-21T10:02:00Z", rows=rows
    )


def diagnosis_file(**changes: object) -> DiagnosisFile:
    emitted = [200.0 + 20 * token for token in range(10)]
    given: dict[str, object] = {
        "position": "sandwich",
        "started": "2025-11-21T10:03:00Z",
        "buffered": True,
        "pattern": Pattern.FULLY_BUFFERED,
        "size_bytes": None,
        "window_ms": None,
        "hop": "via",
        "culprit": "nginx",
        "answer": "nginx keeps everything until the end",
        "evidence": ["one read"],
        "fixes": [ConfigFix("nginx.conf", ["proxy_buffering off;", "proxy_http_version 1.1;"])],
        "paths": [
            PathFinding(label="direct", url="http://d/", pattern=Pattern.PASS_THROUGH, arrivals_ms=emitted, tokens=10),
            PathFinding(
                label="via",
                url="http://v/",
                pattern=Pattern.FULLY_BUFFERED,
                arrivals_ms=[400.0] * 10,
                emitted_ms=emitted,
                headers={"Server": "nginx", "Set-Cookie": "session=verysecret"},
                tokens=10,
                groups=1,
            ),
        ],
        **changes,
    }
    return DiagnosisFile(**given)  # type: ignore[arg-type]


def full_run(directory: Path) -> Path:
    """A directory with every file in it."""
    records = [stream(n, ttft_ms=200 + n, scenario="long" if n % 2 else "chat") for n in range(30)]
    records.append(stream(30, outcome=Outcome.TRUNCATED, detail="no end marker", tokens=4))
    write_streams(directory, records)
    runs.write(directory / runs.RUN, manifest(summary_of(records), ended="2025-11-21T10:00:31Z"))
    runs.write(directory / runs.CHECKS, checks_file(EVERY_VERDICT))
    runs.write(directory / runs.CANCELLATION, cancellation_file([cancel_row(), cancel_row(method="RST")]))
    runs.write(directory / runs.DIAGNOSIS, diagnosis_file())
    return directory
