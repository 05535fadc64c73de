"""Files that are not text traces, and a trace that is read once."""

from pathlib import Path

import pytest

from streamgauge.errors import UsageError
from streamgauge.loadgen.traces import rows
from streamgauge.loadgen.traces.controls import TraceControls
from streamgauge.loadgen.traces.files import forget_traces, read_trace


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"PAR1\x15\x04", "is a Parquet file", "pandas.read_parquet('trace').to_json('trace.jsonl'"),
        (b"ARROW1\x00\x00", "is an Arrow file", "pandas.read_feather('trace')"),
        (b"\x1f\x8b\x08\x00", "is compressed with gzip", "gunzip --keep trace"),
        (b"PK\x03\x04....", "is a zip archive", "unzip trace"),
        (b"\xff\xfe\x00\x01", "is not text", "UTF-8"),
        (b"", "holds no arrival", "timestamp,prompt_tokens,output_tokens"),
        (b"timestamp\n" + b"1" * (rows.MOST_LINE + 1), "line 2 is longer than 16,777,216 characters", "CSV"),
    ],
)
def test_a_file_that_is_not_a_text_trace_is_refused_with_a_way_out(
    tmp_path: Path, content: bytes, message: str, hint: str
) -> None:
    (tmp_path / "trace").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_trace(tmp_path / "trace", TraceControls())
    assert message in caught.value.message
    assert hint in str(caught.value.hint)


def test_a_folder_of_sessions_is_refused_with_the_command_that_makes_one_file_of_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_trace(tmp_path, TraceControls())
    assert "jq -c" in str(caught.value.hint)


def test_a_trace_does_not_change_while_a_run_uses_it(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("timestamp\n1\n2\n")
    first = read_trace(path, TraceControls())
    path.write_text("timestamp\n1\n")

    assert read_trace(path, TraceControls()) is first
    forget_traces()
    assert len(read_trace(path, TraceControls()).requests) == 1
