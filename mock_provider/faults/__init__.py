"""All faults. A new fault is an entry in the file of its group; a new group is a file and a line here."""

from streamgauge.mock_provider.faults import (
    coding,
    ending,
    errors,
    framing,
    http,
    ndjson,
    openai,
    payload,
    resume,
    security,
    server,
    tcp,
    timing,
    tools,
    vendors,
)
from streamgauge.mock_provider.faults.base import ActiveFault, Fault, parse_spec

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for group in (
        framing.FAULTS,
        payload.FAULTS,
        ndjson.FAULTS,
        openai.FAULTS,
        tools.FAULTS,
        vendors.FAULTS,
        ending.FAULTS,
        errors.FAULTS,
        timing.FAULTS,
        coding.FAULTS,
        http.FAULTS,
        tcp.FAULTS,
        resume.FAULTS,
        security.FAULTS,
        server.FAULTS,
    )
    for fault in group
}


def parse(spec: str) -> ActiveFault:
    """One fault as written in a directive or a flag; ValueError lists what is accepted."""
    return parse_spec(spec, FAULTS)
