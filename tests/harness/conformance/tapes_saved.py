"""Examples for what an application saves."""

import json
from dataclasses import replace
from typing import Any

from streamgauge.conformance.cases import Observed
from tests.harness.conformance.tapes import Examples, Tape, ledger
from tests.harness.conformance.tapes_upstream import DONE

examples = Examples()


class Saved(Tape):
    """A tape with the state that was read after it."""

    state: str = ""

    def play(self, piece: int | None = None) -> Observed:
        return replace(super().play(piece), state=self.state)


def saved(variant: str, state: Any, text: str = "begin1 and end1") -> Tape:
    chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]}
    body = b"data: " + json.dumps(chunk).encode() + b"\n\n" + DONE
    tape = Saved(scenario="saved", variant=variant, body=body, said="begin1 and end1", upstream=ledger(),
                 prompt="hi [[mock id=q1 itl=2ms]]")  # fmt: skip
    object.__setattr__(tape, "state", state if isinstance(state, str) else json.dumps(state))
    return tape


def add(check: str, verdict: str, *tapes: Tape) -> None:
    examples.add(check, verdict, *tapes, reads_state=True)


ALL = [{"text": "begin1 and end1", "done": True, "id": 5}]
check = "fidelity.saved-whole"
add(check, "pass", saved("whole", ALL))
add(check, "fail", saved("whole", [{"text": "begin1 and"}]))
add(check, "fail", saved("whole", [{"text": "hi [[mock id=q1 itl=2ms]]"}]))
add(check, "fail", saved("whole", [{"role": "user", "text": "hi"}, *ALL, *ALL]))
add(check, "pass", saved("whole", {"messages": ALL, "last": ALL[0], "titles": [{"title": "begin1 and"}]}))
add(check, "inconclusive", saved("whole", []))
add(check, "inconclusive", saved("whole", ALL, "begin1"))
examples.add(check, "not-applicable", saved("whole", ALL))

check = "fidelity.saved-part-marked"
WHOLE = saved("whole", ALL)
add(check, "pass", WHOLE, saved("cut", [{"text": "begin1 and", "done": False, "id": 6}]))
add(check, "pass", WHOLE, saved("failed", []))
add(check, "pass", WHOLE, saved("left", ALL))
add(check, "warn", WHOLE, saved("cut", [{"text": "begin1 and", "done": True, "id": 6}]))
add(check, "inconclusive", WHOLE, saved("cut", "begin1 and"))
add(check, "inconclusive", WHOLE)
