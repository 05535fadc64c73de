"""Whether answers were as long as the load asked for: else throughput and e2e are figures of another load."""

from collections import Counter
from typing import Final

import msgspec

from streamgauge.metrics.kept import Kept
from streamgauge.protocol.numbers import BYTES_A_CHARACTER
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import plural

TOLERANCE: Final = 0.1  # of the tokens that were asked for
_MOST_REASONS: Final = 20
_NO_REASON: Final = "no finish reason"
_LIMITS: Final = frozenset({"length", "max_tokens", "max_output_tokens", "MAX_TOKENS", "incomplete"})
"""Finish reasons that say that a limit ended the answer (protocol/dialects)."""


class Lengths(msgspec.Struct, frozen=True, kw_only=True):
    """`lengths` of the summary in run.json: the ok streams that asked for a number of output tokens.

    `short` of them had less than 90 % of it, and `long` more than 110 %. `short_by_finish` counts the short ones by
    finish reason. `unknown` ones have no usage, and their text fits to the number that was asked for.
    """

    streams: int
    asked_p50: float
    received_p50: float | None
    short: int = 0
    long: int = 0
    unknown: int = 0
    short_by_finish: dict[str, int] = {}

    @property
    def caveat(self) -> str | None:
        """The warning that answers had another length; None when all had the length that was asked for."""
        if not self.short and not self.long:
            return None
        parts = []
        if self.short:
            reasons = ", ".join(f"{name} {count:,}" for name, count in self.short_by_finish.items())
            parts.append(f"{self.short:,} were shorter by more than {TOLERANCE:.0%} (finish reason: {reasons})")
        if self.long:
            parts.append(f"{self.long:,} were longer by more than {TOLERANCE:.0%}: the endpoint ignores the limit")
        said = (
            f"Of {plural(self.streams, 'ok stream')} that asked for a number of output tokens (p50 "
            f"{self.asked_p50:,.0f}, received {_shown(self.received_p50)}), {'; '.join(parts)}. Throughput, tpot and "
            "e2e are those of such answers."
        )
        if any(name in _LIMITS for name in self.short_by_finish):
            return f"{said} The endpoint ended some by a limit of its own: it gives less than was asked for."
        return (
            f"{said} Where the engine allows it, ignore_eos in the body keeps answers at their length."
            if self.short
            else said
        )


class AnswerLengths:
    """Takes in records, and compares the output tokens that each ok stream asked for with those it received."""

    def __init__(self) -> None:
        self._asked, self._received = Kept(), Kept()
        self._short: Counter[str] = Counter()
        self._long = self._unknown = 0

    def add(self, record: StreamRecord) -> None:
        """Take in one stream."""
        asked = record.asked_output_tokens
        if not asked or record.outcome is not Outcome.OK:
            return
        self._asked.add(asked)
        least, most = _bounds(record)
        if least == most:
            self._received.add(least)
        if most < (1 - TOLERANCE) * asked:
            reason = record.finish_reason or _NO_REASON
            known = reason in self._short or len(self._short) < _MOST_REASONS
            self._short[reason if known else "other"] += 1
        elif least > (1 + TOLERANCE) * asked:
            self._long += 1
        elif least != most:
            self._unknown += 1

    def lengths(self) -> Lengths | None:
        """The figures; None when no stream asked for a length."""
        if not len(self._asked):
            return None
        return Lengths(
            streams=len(self._asked),
            asked_p50=_median(self._asked),
            received_p50=_median(self._received) if len(self._received) else None,
            short=self._short.total(),
            long=self._long,
            unknown=self._unknown,
            short_by_finish=dict(self._short.most_common()),
        )


def _bounds(record: StreamRecord) -> tuple[int, int]:
    """The least and the most tokens that the answer can have: one number where the server counted them.

    Else an event has at least one token, and a token at least one byte.
    """
    if record.tokens_source == "usage" and record.output_tokens is not None:
        return record.output_tokens, record.output_tokens
    return len(record.token_reads), record.token_chars * BYTES_A_CHARACTER


def _median(kept: Kept) -> float:
    ordered = kept.ordered
    return float(ordered[(len(ordered) - 1) // 2])


def _shown(value: float | None) -> str:
    return "not counted" if value is None else f"{value:,.0f}"
