"""Defects of NDJSON: one JSON object a line, without comments or event boundaries."""

import json

from streamgauge.mock_provider.faults.base import Fault
from streamgauge.mock_provider.faults.edit import before_middle_token, every_token
from streamgauge.mock_provider.faults.ending import unterminated

NDJSON = frozenset({"stream", "ndjson"})


def _indented(data: bytes) -> bytes:
    try:
        return json.dumps(json.loads(data), indent=2).encode() + b"\n"
    except ValueError:  # another fault has broken the object
        return data


FAULTS = (
    Fault(
        name="blank-line",
        sentence="a blank line precedes the middle token's line (ollama-python fails to parse it and stops)",
        level="text",
        trips=("ollama.one-json-per-line",),
        needs=NDJSON,
        events=before_middle_token(lambda _: b"\n"),
    ),
    Fault(
        name="spread-lines",
        sentence="each token's object is indented over several lines",
        level="text",
        trips=("ollama.one-json-per-line",),
        needs=NDJSON,
        events=every_token(_indented),
    ),
    Fault(
        name="no-final-newline",
        sentence="the last line lacks its line feed (legal, but some line readers lose that line)",
        level="text",
        trips=("ollama.one-json-per-line",),
        needs=NDJSON | {"finite"},
        events=unterminated,
    ),
)
