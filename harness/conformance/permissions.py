"""The permissions for costly requests: the kinds there are, those that the caller gave, and those still missing."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from streamgauge.endpoint.promise import NOTHING as NO_PROMISE
from streamgauge.endpoint.promise import Promise
from streamgauge.units import SECOND

MOCK: Final = "--mock URL, with the endpoint's upstream set to that mock provider"
PLACE: Final = "the place of the prompt: {{prompt}} in the URL or in --body FILE"
FRAMING: Final = "an answer whose framing is valid (see http.unambiguous-framing and http.chunked-framing)"
REFUSING_MOCK: Final = "streamgauge mock --api-key KEY as the upstream, which refuses every other key"
LARGER_BUDGET: Final = "a larger --max-tokens-spent"
STREAM: Final = "a request that is answered with a stream: --body, --header, --api-key-env or --dialect"
ENDS_WELL: Final = "a stream that ends well: mend the error, the cut or the silence that came here first"

LONG_NS: Final = 200 * SECOND  # above the 180 s after which a stalled upstream should have been given up
MAX_STREAMS: Final = 20


class OptIn(StrEnum):
    """Permissions, written as the flags that give them."""

    LONG = "--long"
    LOAD = "--allow-load"
    BIG = "--allow-big-prompts"
    SECOND_KEY = "--second-key NAME_OF_ENV"

    @property
    def flag(self) -> str:
        """The flag without its value."""
        return self.value.partition(" ")[0]

    @property
    def costs(self) -> str:
        """What the permission lets happen, in a few words."""
        return _COSTS[self]


_COSTS: Final = {
    OptIn.LONG: "it takes minutes of waiting",
    OptIn.LOAD: "it sends many requests at once",
    OptIn.BIG: "it sends prompts of 100,000 characters and more, which cost money and can block a model server",
    OptIn.SECOND_KEY: "it needs a second user",
}


@dataclass(slots=True, frozen=True, kw_only=True)
class Allowed:
    """The caller's permissions: `long_ns` bounds a single wait, `streams` how many are open at once; None forbids.
    `big_prompts` lets a real model read prompts beyond any sensible limit.

    `second_key` is the second user's credential; `repr` does not show it. `promise` is the target's: it allows the
    requests that test it. `reads_state`: the target says where it shows what it has saved.
    """

    long_ns: int | None = None
    streams: int | None = None
    big_prompts: bool = False
    second_key: str | None = field(default=None, repr=False)
    promise: Promise = NO_PROMISE
    reads_state: bool = False

    @property
    def opt_ins(self) -> frozenset[OptIn]:
        """The same as flags, without the values."""
        given = {
            OptIn.LONG: self.long_ns,
            OptIn.LOAD: self.streams,
            OptIn.BIG: self.big_prompts or None,
            OptIn.SECOND_KEY: self.second_key,
        }
        return frozenset(opt_in for opt_in, value in given.items() if value is not None)


NOTHING: Final = Allowed()
