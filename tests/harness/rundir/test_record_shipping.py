"""Records between a worker and a master that is slow, deaf or forgetful: each arrives once and in order."""

import io
import zlib
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamgauge.rundir.record_shipping import (
    BATCH_BYTES,
    MAX_BATCH_BYTES,
    PIECE_BYTES,
    WINDOW,
    Batch,
    Inbox,
    Outbox,
    Report,
)


def line(number: int, size: int = 20) -> bytes:
    return f"{number:>{size - 1}}\n".encode()


def report(batch: Batch) -> Report:
    first, count, data = batch
    return Report(host="h", started=0, sent_ns=0, first=first, count=count, data=data)


def take(inbox: Inbox, batch: Batch) -> bytes:
    lines = inbox.open(report(batch))
    if lines:
        inbox.taken(report(batch))
    return lines


@example([("add", 1), ("send", 0), ("deliver", 0), ("add", 1)])
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sampled_from([1, 1_000, 40_000, 100_000])),
            st.tuples(
                st.sampled_from(["send", "deliver", "lose", "repeat", "answer", "lose answer", "again"]), st.just(0)
            ),
        ),
        max_size=60,
    )
)
def test_whatever_is_lost_or_repeated_on_the_way_arrives_once_and_in_order(steps: list[tuple[str, int]]) -> None:
    outbox, inbox = Outbox(io.BytesIO()), Inbox()
    there: list[Batch] = []
    back: list[int] = []
    wanted = got = b""

    def step(what: str, size: int = 0) -> None:
        nonlocal wanted, got
        match what:
            case "add":
                wanted += line(outbox.added, size + 20)
                outbox.add(line(outbox.added, size + 20))
            case "send":
                if batch := outbox.batch():
                    there.append(batch)
            case "deliver" | "repeat" if there:
                got += take(inbox, there[0])
                back.append(inbox.next)
                if what == "deliver":
                    there.pop(0)
            case "lose" if there:
                there.pop(0)
            case "answer" if back:
                outbox.acknowledge(back.pop(0))
            case "lose answer" if back:
                back.pop(0)
            case "again":
                outbox.again()
        assert wanted.startswith(got)
        # What the master has not confirmed is never forgotten.
        assert outbox.added - outbox.waiting <= inbox.next

    for what, size in steps:
        step(what, size)
    for _ in range(len(steps) + 1):
        step("again")
        for _ in range(WINDOW):
            step("send")
        while there or back:
            step("deliver")
            step("answer")
    assert got == wanted
    assert outbox.waiting == 0
    assert inbox.next == outbox.added


def test_a_slow_master_stops_the_sending_and_nothing_is_lost() -> None:
    outbox, inbox = Outbox(io.BytesIO()), Inbox()
    size = BATCH_BYTES // 2
    for number in range(100):
        outbox.add(line(number, size))
    under_way = []
    while batch := outbox.batch():
        under_way.append(batch)
    assert len(under_way) == WINDOW
    assert outbox.waiting == 100

    got = take(inbox, under_way.pop(0))
    outbox.acknowledge(inbox.next)
    assert outbox.waiting == 98
    under_way.append(outbox.batch() or pytest.fail("an acknowledgement makes room for a batch"))
    assert outbox.batch() is None

    while under_way:
        got += take(inbox, under_way.pop(0))
        outbox.acknowledge(inbox.next)
        if batch := outbox.batch():
            under_way.append(batch)
    assert got == b"".join(line(number, size) for number in range(100))
    assert outbox.waiting == 0


def test_a_batch_that_is_early_or_was_taken_already_is_not_taken() -> None:
    outbox, inbox = Outbox(io.BytesIO()), Inbox()
    outbox.add(line(0))
    first = outbox.batch()
    outbox.add(line(1))
    second = outbox.batch()
    assert first is not None
    assert second is not None

    assert take(inbox, second) == b""
    assert take(inbox, first) == line(0)
    assert take(inbox, first) == b""
    assert take(inbox, second) == line(1)


@pytest.mark.parametrize(
    "data",
    [b"no zlib", zlib.compress(b"one line\n"), zlib.compress(b"1\n2\ntorn"), zlib.compress(b"1\n2\n")[:-3]],
    ids=["not compressed", "too few", "torn line", "cut off"],
)
def test_a_batch_that_is_not_what_it_says_is_refused(data: bytes) -> None:
    inbox = Inbox()
    with pytest.raises(ValueError, match="batch"):
        inbox.open(report(Batch(0, 2, data)))
    assert inbox.next == 0


def test_a_batch_is_not_unpacked_without_bound() -> None:
    bomb = zlib.compress(b"\n" * (65 * 1024 * 1024))
    with pytest.raises(ValueError, match="batch"):
        Inbox().open(report(Batch(0, 65 * 1024 * 1024, bomb)))


@pytest.mark.parametrize(
    "change", [{"host": "h" * 65}, {"reader": "r" * 201}, {"started": -1}, {"first": -1}, {"count": -1}]
)
def test_a_report_beyond_its_bounds_is_refused(change: dict[str, object]) -> None:
    fields = {"host": "h", "started": 1, "sent_ns": 1}
    assert msgspec.convert(fields, Report).host == "h"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(fields | change, Report)


def pieces(batch: Batch) -> list[Report]:
    return [
        Report(
            host="h", started=0, sent_ns=0, first=piece.first, count=piece.records, data=piece.data,
            offset=piece.offset, more=piece.more,
        )
        for piece in batch.pieces()
    ]  # fmt: skip


def large_batch() -> tuple[bytes, Batch]:
    lines = Random(1).randbytes(3 * PIECE_BYTES).replace(b"\n", b"") + b"\n"
    return lines, Batch(0, 1, zlib.compress(lines))


def test_a_batch_with_a_large_record_arrives_in_pieces() -> None:
    lines, batch = large_batch()
    sent = pieces(batch)
    assert len(sent) > 2
    assert all(len(report.data) <= PIECE_BYTES for report in sent)
    inbox = Inbox()
    assert [inbox.open(report) for report in sent] == [b""] * (len(sent) - 1) + [lines]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_batch_that_lost_a_piece_is_taken_when_it_is_sent_again(lost: int) -> None:
    lines, batch = large_batch()
    inbox = Inbox()
    assert not any(inbox.open(report) for number, report in enumerate(pieces(batch)) if number != lost)
    assert [inbox.open(report) for report in pieces(batch)][-1] == lines


def test_a_batch_that_goes_on_and_on_is_refused() -> None:
    inbox = Inbox()
    part = b"x" * MAX_BATCH_BYTES
    assert inbox.open(Report(host="h", started=0, sent_ns=0, count=1, data=part, more=True)) == b""
    with pytest.raises(ValueError, match="batch"):
        inbox.open(Report(host="h", started=0, sent_ns=0, count=1, data=b"x", offset=len(part), more=True))
    assert inbox.next == 0


def test_after_flush_every_record_is_in_the_file(tmp_path: Path) -> None:
    """Nobody closes the file when a worker ends: what Python still buffers would be lost, and a file named in vain."""
    path = tmp_path / "spool"
    with path.open("w+b") as spool:
        outbox = Outbox(spool)
        for number in range(3):
            outbox.add(line(number))
        assert path.read_bytes() != b"".join(map(line, range(3)))
        outbox.flush()
        assert path.read_bytes() == b"".join(map(line, range(3)))
