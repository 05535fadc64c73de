"""Classes of streams, such as those with a short prompt: an objective can be limited to one of them.

A mix of prompt lengths has no single good TTFT: 500 ms may be slow for 1,000 tokens of prompt and fast for 100,000. So
an objective can name its class: `ttft p95 < 500ms where prompt <= 1k`. The grammar is in metrics/condition.py.
"""

import operator
from collections.abc import Callable
from typing import Final, NamedTuple

from streamgauge.protocol.record import StreamRecord

PROPERTIES: Final[dict[str, Callable[[StreamRecord], int | None]]] = {
    "prompt": lambda record: record.asked_prompt_tokens,
    "output": lambda record: record.asked_output_tokens,
    "turn": lambda record: record.turn,
}
"""Numbers that the load has chosen for a stream. A stream without the number belongs to no class of that property."""

COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
}
_THOUSAND: Final = 1_000


class Bound(NamedTuple):
    """A limit of a property of streams, such as `prompt <= 1k`."""

    name: str
    op: str
    limit: int

    def holds(self, record: StreamRecord) -> bool:
        """Whether the stream is within the bound."""
        value = PROPERTIES[self.name](record)
        return value is not None and self.allows(value)

    def allows(self, value: int) -> bool:
        """Whether this value of the property is within the bound."""
        return COMPARISONS[self.op](value, self.limit)

    def __str__(self) -> str:
        whole = self.limit and self.limit % _THOUSAND == 0
        return f"{self.name} {self.op} {f'{self.limit // _THOUSAND}k' if whole else self.limit}"


Class = tuple[Bound, ...]
"""Every stream that is within all bounds."""
