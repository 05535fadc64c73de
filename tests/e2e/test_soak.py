"""A soak of seconds: every stream of the mock is recorded, and both process trees are watched."""

from pathlib import Path

from tests.bench.soak import Kind, show, soak
from tests.builders.ended import ended_well

TINY = Kind("tiny", users=10, ttft_ms=20, itl_ms=20, tokens=20)


def test_a_short_soak_counts_every_stream_and_watches_both_trees(tmp_path: Path) -> None:
    (result,) = soak([TINY], 4, tmp_path)

    assert ended_well(result.exit_code, result.output), result.output
    assert result.streams.lost == 0
    assert result.streams.whole == result.streams.recorded > TINY.users
    assert all(
        growth is not None and growth.mean > 0 for growth in (*result.memory.values(), *result.descriptors.values())
    )
    assert (
        (tmp_path / "samples.csv").read_text().startswith("kind,tree,at_s,rss_bytes,descriptors,processes\ntiny,load,")
    )
    assert "streams: " in show(result, shared=True)
