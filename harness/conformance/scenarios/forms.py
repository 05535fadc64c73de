"""The forms in which an upstream may send the same event stream. An endpoint has to read them all."""

from collections.abc import Iterator
from functools import partial
from itertools import accumulate
from types import MappingProxyType
from typing import Final, NamedTuple

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import Concurrency, scenario
from streamgauge.conformance.scenarios.lockstep import held, held_twice_or_not, in_step
from streamgauge.conformance.scenarios.runner import Keys, ScenarioRunner
from streamgauge.conformance.scenarios.texts import TEXTS, sent_so_far

TOKENS: Final = TEXTS["unicode"]
USUAL: Final = "LF"
"""The form that the endpoint's upstream has everywhere else; the others are compared with it."""


class Form(NamedTuple):
    """One form: what the mock is asked for, and how many tokens come in a write.

    `rare`: hardly any upstream sends it, though the standard allows it.
    """

    keys: Keys
    every: int = 1
    rare: bool = False


def _fault(name: str, *, rare: bool = False) -> Form:
    return Form({"fault": name}, rare=rare)


FORMS: Final = MappingProxyType(
    {
        USUAL: Form({}),
        "CRLF": _fault("crlf"),
        "CR alone": _fault("cr", rare=True),
        "no space after data:": _fault("no-space"),
        "two data lines an event": _fault("multi-line-data", rare=True),
        "comments between events": _fault("comment-heartbeats"),
        "comments within events": _fault("comments-anywhere", rare=True),
        "id before data": _fault("ids-first"),
        "retry and unknown fields": _fault("retry,unknown-field"),
        "byte order mark": _fault("bom", rare=True),
        "four events a chunk": Form({"fault": "bursts:4"}, every=4),
        "seven bytes a write": _fault("write-every:7"),
        "characters cut over chunks": _fault("split-utf8-writes"),
        "head with the first token": _fault("late-head"),
        "no X-Accel-Buffering": _fault("no-accel-header"),
        "cumulative text": _fault("cumulative"),
        "body ends with connection": _fault("http10"),
        "chunk extensions": _fault("chunk-extensions"),
    }
)


@scenario(
    "forms",
    "the same stream in each form that an upstream may send it in",
    mock=True,
    concurrency=Concurrency.ALONE,
    cost=Cost(2 * len(FORMS), 2 * len(FORMS)),
)
def forms(run: ScenarioRunner) -> Iterator[Observed]:
    """In lockstep, unless the usual form is already held back: then only the text is compared.

    The mock refuses a form that the upstream's dialect cannot have. Its ledger then has no such stream.
    """
    text: Keys = {"text": "unicode", "seed": 0, "tokens": len(TOKENS), "tokens_per_event": 1}
    passes = True
    for name, form in FORMS.items():
        if passes:
            keys = {**text, **form.keys}
            play = partial(in_step, run, keys, tokens=len(TOKENS), every=form.every, failures=1, variant=name)
            seen = held_twice_or_not(play)
        else:
            seen = run.ask({**text, "ttft": "1ms", "itl": "1ms", **form.keys}, variant=name)
        if name == USUAL:
            passes = not held(seen)
        pieces = tuple(accumulate(TOKENS)) if name == "cumulative text" else TOKENS
        seen.expected_text = sent_so_far(seen, pieces)
        yield seen
