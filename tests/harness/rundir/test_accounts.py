"""What each process started and what of it is recorded, and what is said when the two differ."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.clocks import Offset
from streamgauge.metrics.summary import Totals
from streamgauge.rundir import runs
from streamgauge.rundir.accounts import (
    ACCOUNTS,
    Account,
    AccountFile,
    clear_accounts,
    clock_lines,
    faults,
    last_sign_ns,
    losses,
    read_accounts,
)
from streamgauge.rundir.record_shipping import MOST_HOST, MOST_READER
from tests.builders.foreign_numbers import fragments, places, with_number

SEEN = 1_795_270_446 * 10**9  # 14:14:06 UTC


def test_an_account_is_read_as_it_was_last_written(tmp_path: Path) -> None:
    file = AccountFile(tmp_path, Account(worker=7, host="a-long-name-of-a-machine"))
    for _ in range(12):
        file.start()
    for _ in range(9):
        file.record()
    for _ in range(3):
        file.forget()  # from two digits to one: nothing of the longer text is left

    (account,) = read_accounts(tmp_path)
    assert (account.started, account.recorded, account.lost, account.ended) == (9, 9, 0, False)
    file.end()
    assert read_accounts(tmp_path)[0].ended
    clear_accounts(tmp_path)
    assert read_accounts(tmp_path) == []


def test_a_damaged_account_costs_itself_only(tmp_path: Path) -> None:
    AccountFile(tmp_path, Account(worker=1, host="h"))
    (tmp_path / ACCOUNTS / "2.json").write_text("{")
    assert [account.worker for account in read_accounts(tmp_path)] == [1]


def test_who_ended_in_order_with_every_record_is_not_mentioned() -> None:
    assert losses([Account(worker=1, host="h", started=5, recorded=5, ended=True)]) == []


def test_a_killed_process_is_named_with_its_time_and_its_loss() -> None:
    (text,) = losses([Account(worker=1, host="h", started=40, recorded=36, seen_ns=SEEN)])
    assert text == (
        "Worker 1 on h did not end in order (killed, or out of reach). Last seen at 14:14:06 UTC, when it had started "
        "40 streams. 36 of them are recorded, 4 are lost. Its users were missing from then on, so the load was "
        "smaller than planned."
    )


def test_what_a_remote_worker_had_started_is_known_only_until_its_last_report() -> None:
    (text,) = losses([Account(worker=1, host="h", started=40, recorded=36, seen_ns=SEEN, remote=True)])
    assert "started at least 40 streams. 36 of them are recorded, at least 4 are lost" in text


def test_a_killed_process_that_lost_no_stream_still_left_the_load() -> None:
    (text,) = losses([Account(worker=1, host="h", started=4, recorded=4, seen_ns=SEEN)])
    assert "0 are lost. Its users were missing" in text


def test_clocks_are_shown_with_their_bound_and_what_was_done() -> None:
    lines = clock_lines(
        [
            Account(worker=0, host="here"),
            Account(worker=1, host="a", clock=Offset(-54_801, 200_407)),
            Account(worker=2, host="b", clock=Offset(31_000_000, 300_000)),
        ]
    )
    assert lines == [
        "worker 1 on a: master's clock − its clock -0.055 ms ± 0.200 ms, within the error: nothing to correct",
        "worker 2 on b: master's clock − its clock +31.000 ms ± 0.300 ms, corrected in its records",
    ]


def test_a_loss_is_a_fault_of_the_run() -> None:
    whole = Account(worker=1, host="a", started=4, recorded=4, ended=True)
    assert faults([whole]) == []
    (lost,) = faults([whole, msgspec.structs.replace(whole, worker=2, recorded=3)])
    assert lost.startswith("1 stream left no record")
    (killed,) = faults([whole, msgspec.structs.replace(whole, worker=2, recorded=1, ended=False)])
    assert killed.startswith("1 of 2 processes did not end in order, and 3 streams left no record")
    (remote,) = faults([whole, msgspec.structs.replace(whole, worker=2, recorded=1, ended=False, remote=True)])
    assert "and at least 3 streams" in remote


def test_the_last_sign_of_life_matters_only_when_no_process_ended_in_order() -> None:
    early, late = (Account(worker=seen, host="a", seen_ns=seen) for seen in (5, 9))
    assert last_sign_ns([]) is None
    assert last_sign_ns([early, late]) == 9
    assert last_sign_ns([early, msgspec.structs.replace(late, ended=True)]) is None


def test_three_thousand_lost_workers_are_a_page_of_text_and_not_three_thousand_lines() -> None:
    accounts = [Account(worker=number, host="h", started=3, recorded=1, seen_ns=SEEN) for number in range(3_000)]
    texts = losses(accounts)
    assert len(texts) <= 21
    assert texts[-1] == "2,980 more workers ended in this way: 5,960 or more of their streams are lost."


def test_the_clocks_of_three_thousand_workers_are_a_page_of_text() -> None:
    clock = Offset(offset_ns=0, error_ns=1)
    lines = clock_lines([Account(worker=number, host="h", ended=True, clock=clock) for number in range(3_000)])
    assert len(lines) <= 21
    assert "2,980" in lines[-1]


def test_an_account_has_room_for_the_longest_host_and_reader_that_a_report_may_give(tmp_path: Path) -> None:
    account = Account(worker=1, host="\x01" * MOST_HOST, reader="\x01" * MOST_READER)
    AccountFile(tmp_path, account).save()
    assert [found.reader for found in read_accounts(tmp_path)] == [account.reader]


ACCOUNT = {
    "started": 5, "recorded": 4, "seen_ns": SEEN, "worker": 7, "host": "h", "remote": True,
    "clock": {"offset_ns": 5_000_000, "error_ns": 1_000},
}  # fmt: skip


@given(place=st.sampled_from(list(places(ACCOUNT))), number=fragments)
def test_whatever_number_an_account_has_it_is_left_out_or_told(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[str | int, ...], number: str
) -> None:
    directory = tmp_path_factory.mktemp("run")
    (directory / ACCOUNTS).mkdir()
    (directory / ACCOUNTS / "7.json").write_bytes(with_number(json.dumps(ACCOUNT), place, number))

    found = read_accounts(directory)

    assert len(losses(found)) <= 1
    clock_lines(found)
    msgspec.json.encode(found)


ROW = {
    "worker": 1, "wall_ns": 10**9, "cpu_ns": 10**8, "waited_ns": 10**7, "held": 2,
    "late": {"buckets": {"1400": 3}, "zeros": 5, "total": 10**7, "maximum": 10**6},
}  # fmt: skip


@given(place=st.sampled_from(list(places(ROW))), number=fragments)
def test_whatever_number_a_row_of_a_process_has_it_is_left_out_or_counted(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[str | int, ...], number: str
) -> None:
    directory = tmp_path_factory.mktemp("run")
    (directory / runs.WORKERS).mkdir()
    (directory / runs.WORKERS / "1.json").write_bytes(with_number(json.dumps(ROW), place, number))

    summary = Totals().summary(runs.workers(directory))

    msgspec.json.encode(summary)


def test_a_bucket_that_no_duration_has_is_left_out(tmp_path: Path) -> None:
    row = json.dumps(ROW).replace("1400", "999999999")
    (tmp_path / runs.WORKERS).mkdir()
    (tmp_path / runs.WORKERS / "1.json").write_text(row)

    assert runs.workers(tmp_path) == []
