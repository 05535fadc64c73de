"""Tapes of http.keeps-accepting."""

from streamgauge.wire import End
from tests.harness.conformance.tapes import Examples, Tape

CHECK = "http.keeps-accepting"
TOKEN = b"data: x\n\n"
REFUSED = "cannot connect to x: Connection refused"

examples = Examples()


def down(scenario: str, end: End = End.RESET) -> Tape:
    return Tape(scenario=scenario, status=None, sent_ms=None, end=end, detail=REFUSED, crowded="it may have been busy")


FIRST, NEXT, ERROR = Tape(body=TOKEN), Tape(body=TOKEN, scenario="happy-2"), Tape(scenario="pre-error", status=500)
examples.add(CHECK, "pass", FIRST, ERROR, NEXT)
examples.add(CHECK, "fail", FIRST, ERROR, down("gzip"), down("happy-2"))
examples.add(CHECK, "fail", FIRST, down("gzip"), NEXT)
examples.add(CHECK, "pass", FIRST, down("happy-2", End.TIMEOUT))
