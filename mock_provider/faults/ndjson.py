"""Defects of NDJSON (a JSON object per line), which has neither comments nor event boundaries to get wrong."""

import json

from streamgauge.mock_provider.faults.base import Fault
from streamgauge.mock_provider.faults.edit import before_middle_token, every_token
from streamgauge.mock_provider.faults.ending import unterminated

NDJSON = frozenset({"stream", "ndjson"})


def _indented(data: bytes) -> bytes:
    try:
        return json.dumps(json.loads(data), indent=2).encode() + b"\n"
    except ValueError:  # another fault has broken it
        return data


FAULTS = (
    Fault(
        name="blank-line",
        sentence="a blank line precedes the middle token's line (its JSON parser stops ollama-python)",
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
        sentence="the last line lacks its line feed (legal, but line readers lose it)",
        level="text",
        trips=("ollama.one-json-per-line",),
        needs=NDJSON | {"finite"},
        events=unterminated,
    ),
)
