"""Requests that show what an endpoint changes between client and model: the mock's ledger tells what arrived."""

import json
from collections.abc import Iterator
from typing import Any, Final

from streamgauge.conformance.cases import Observed
from streamgauge.conformance.scenarios.cost import Cost
from streamgauge.conformance.scenarios.declaration import scenario
from streamgauge.conformance.scenarios.runner import DEADLINE_S, Keys, ScenarioRunner
from streamgauge.conformance.scenarios.silence import STOPS_WITHIN_S
from streamgauge.endpoint.prompt_places import put_history

LIMIT: Final = 5  # tokens that the answer may have
UNLIMITED: Final = 200  # tokens that the upstream would write in 4 s
SYSTEM: Final = "Instruction {mark}: answer in one sentence."
TURNS: Final = (
    ("user", "First question {mark}: which river flows through Vienna?"),
    ("assistant", "Earlier answer {mark}: the Danube."),
)
_QUICK: Final[Keys] = {"tokens": 12, "ttft": "1ms", "itl": "1ms", "seed": 11}


@scenario("whole", "the same answer, streamed and whole", mock=True, cost=Cost(requests=2, answers=2))
def whole(run: ScenarioRunner) -> Iterator[Observed]:
    """Only where the request has a field `stream`. Equal seeds give equal texts."""
    spec, stream_id = run.request({**_QUICK, "text": "unicode"})
    body = without_streaming(spec.body)
    if body is None:
        return
    streamed = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S)
    yield run.observed(spec, stream_id, streamed, variant="streamed")
    asked, stream_id = run.request({**_QUICK, "text": "unicode"})
    body = without_streaming(asked.body)
    assert body is not None
    asked = asked._replace(body=json.dumps(body, ensure_ascii=False).encode())
    yield run.observed(asked, stream_id, run.client.run(asked, deadline_s=DEADLINE_S), variant="whole")


def without_streaming(body: bytes | None) -> dict[str, Any] | None:
    """The request's fields with `stream` false; None where the request has no such field."""
    try:
        fields = json.loads(body or b"null")
    except ValueError:
        return None
    if not isinstance(fields, dict) or fields.get("stream") is not True:
        return None
    return {name: value for name, value in fields.items() if name != "stream_options"} | {"stream": False}


@scenario("repeat", "the same request twice, one after the other", mock=True, cost=Cost(requests=2, answers=2))
def repeat(run: ScenarioRunner) -> Iterator[Observed]:
    """The same bytes, so that every cache that compares requests finds the first answer."""
    spec, stream_id = run.request(_QUICK)
    for variant in ("the first time", "the second time"):
        transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S)
        yield run.observed(spec, stream_id, transcript, variant=variant)


@scenario("turns", "instructions, and two earlier turns of the conversation", mock=True)
def turns(run: ScenarioRunner) -> Iterator[Observed]:
    spec, stream_id = run.request(_QUICK)
    dialect = None if run.dialect is None else run.dialect.name
    body = None if spec.body is None else with_history(spec.body, stream_id or "", dialect)
    if body is None:
        return
    spec = spec._replace(body=body.encode())
    transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S)
    yield run.observed(spec, stream_id, transcript)


def with_history(body: bytes, mark: str, dialect: str | None) -> str | None:
    """The request with a conversation before the prompt, in which `mark` is unique; None where it has no place."""
    before = [(role, text.format(mark=mark)) for role, text in TURNS]
    return put_history(body.decode(), SYSTEM.format(mark=mark), before, system_beside=dialect == "anthropic")


@scenario("limit", f"an answer of at most {LIMIT} tokens, of an upstream that has {UNLIMITED}", mock=True)
def limit(run: ScenarioRunner) -> Iterator[Observed]:
    if not run.target.takes_limit:
        return
    run = run._replace(target=run.target.as_spoken(run.dialect))  # the dialect knows where the limit goes
    spec, stream_id = run.request({"tokens": UNLIMITED, "ttft": "1ms", "itl": "20ms"}, max_tokens=LIMIT)
    transcript = run.client.run(spec, dialect=run.dialect, deadline_s=DEADLINE_S)
    yield run.observed(spec, stream_id, transcript, wait_s=STOPS_WITHIN_S)
