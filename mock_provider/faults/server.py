"""Checks that the server leaves out; they act before a prompt could be read, so only flags set them."""

from mock_provider.faults.base import Fault

FAULTS = (
    Fault(
        name="ok-on-bad-json",
        sentence="a stream in answer to a body that is not JSON",
        level="http",
        trips=("http.bad-json-400",),
        needs=frozenset(),
        server_wide=True,
    ),
    Fault(
        name="no-validation",
        sentence="a stream in answer to a request without a prompt or with wrong fields",
        level="http",
        trips=("http.validation-before-stream",),
        needs=frozenset(),
        server_wide=True,
    ),
    Fault(
        name="no-input-limit",
        sentence="a stream in answer to a prompt of any length",
        level="http",
        trips=("limits.input-size",),
        needs=frozenset(),
        server_wide=True,
    ),
    Fault(
        name="ignores-max-tokens",
        sentence="an answer longer than the request allows",
        level="event",
        trips=("limits.max-output-honoured",),
        needs=frozenset(),
        server_wide=True,
    ),
    Fault(
        name="overload-status",
        sentence="a status (default 503) instead of 429 where a slot or a quota is used up",
        level="http",
        trips=("limits.concurrency-429", "limits.rate-429"),
        needs=frozenset(),
        takes="status",
        server_wide=True,
    ),
    Fault(
        name="fragile",
        sentence="once a client has left a stream, every request is answered with 500",
        level="http",
        trips=("cancel.server-survives",),
        needs=frozenset(),
        server_wide=True,
    ),
    Fault(
        name="leaks-slots",
        sentence="the slot of --key-slots that a client has left stays taken",
        level="http",
        trips=("cancel.slot-released",),
        needs=frozenset(),
        server_wide=True,
    ),
    Fault(
        name="no-allow",
        sentence="405 without the Allow field",
        level="http",
        trips=("http.method-not-allowed",),
        needs=frozenset(),
        server_wide=True,
    ),
)
