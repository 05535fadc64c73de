"""Joins the records of a finished run with the ledger of the mock: true times, and the fate of abandoned streams."""

import time
from collections import deque
from itertools import islice
from pathlib import Path
from typing import Final

from streamgauge.diagnosis.abandonment import Abandonment, abandonment
from streamgauge.diagnosis.cancel_matrix import upstream_of
from streamgauge.endpoint.mock_ledger import MockControl
from streamgauge.endpoint.target import Target
from streamgauge.metrics.comparison import MAX_JOINED, Comparison, Ledgered, compare_with_ledger
from streamgauge.protocol.outcome import Outcome
from streamgauge.rundir import runs

_LEDGER_WAIT_S: Final = 10.0
"""An upstream may go on after its user has left: the tokens that it writes meanwhile are waste, and are counted."""


def measured_against_truth(target: Target, directory: Path) -> Comparison:
    """The times in the records against the times in the ledger. Raises CannotMeasure when the mock does not answer.

    The newest streams are compared, because the ledger forgets the oldest. Those of the warm-up do not count.
    """
    with MockControl.of(target) as mock:
        measured = (record for record in runs.RecordReader(directory) if record.token_reads and not record.warmup)
        records = list(deque(measured, maxlen=MAX_JOINED))
        known = {}
        for record in records:
            if entries := mock.entries(record.id):
                known[record.id] = Ledgered(entries[-1].arrival_ns, entries[-1].token_ns())
    return compare_with_ledger(records, known, direct=target.is_its_mock)


def abandoned_streams(target: Target, directory: Path) -> Abandonment | None:
    """What became of the streams that users left; with a mock, joined with its ledger. Raises CannotMeasure."""
    if target.mock is None:
        return abandonment(runs.RecordReader(directory), {})
    left = (record.id for record in runs.RecordReader(directory) if record.outcome is Outcome.CANCELLED)
    known = {}
    until_s = time.monotonic() + _LEDGER_WAIT_S
    with MockControl.of(target) as mock:
        offset = mock.clock()
        for stream_id in islice(left, MAX_JOINED):
            wait_s = max(until_s - time.monotonic(), 0)
            if upstream := upstream_of(mock.entries(stream_id, wait_s=wait_s), offset):
                known[stream_id] = upstream
    return abandonment(runs.RecordReader(directory), known)
