"""Tapes of http.announces-close."""

from typing import Any

from streamgauge.transport.exchange import Kept
from streamgauge.units import MS
from streamgauge.wire import End, Framing
from tests.harness.conformance.tapes import Examples, Tape, headers

CHECK = "http.announces-close"
TOKEN = b"data: x\n\n"
OPEN, CLOSED, LATE = Kept(250 * MS, None), Kept(3 * MS, 3 * MS), Kept(251 * MS, 251 * MS)

examples = Examples()


def stream(kept: Kept | None, **changes: Any) -> Tape:
    return Tape(body=TOKEN, scenario="kept", kept=kept, **changes)


examples.add(CHECK, "pass", stream(OPEN))
examples.add(CHECK, "warn", stream(CLOSED), stream(CLOSED))
PROMISED = headers(keep_alive="timeout=5, max=100")
examples.add(CHECK, "warn", stream(CLOSED, headers=PROMISED), stream(CLOSED, headers=PROMISED))
examples.add(CHECK, "pass", stream(CLOSED), stream(OPEN))
examples.add(CHECK, "pass", stream(LATE), stream(LATE))
examples.add(CHECK, "pass", stream(None, headers=headers(connection="Keep-Alive, Close")))
examples.add(CHECK, "not-applicable", stream(None, http_version="1.0"))
examples.add(CHECK, "not-applicable", stream(None, http_version="2", framing=Framing.STREAM))
examples.add(CHECK, "not-applicable", stream(None, framing=Framing.CLOSE))
examples.add(CHECK, "inconclusive", stream(None, end=End.RESET))
examples.add(CHECK, "inconclusive", Tape(scenario="kept", status=None, end=End.RESET))
examples.add(CHECK, "inconclusive", stream(CLOSED))
examples.add(CHECK, "inconclusive", Tape(scenario="kept", status=401, kept=CLOSED))
examples.add(CHECK, "not-applicable", stream(None, request=b"POST / HTTP/1.1\r\nconnection: Close\r\n\r\n"))
