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
        name="no-allow",
        sentence="405 without the Allow field",
        level="http",
        trips=("http.method-not-allowed",),
        needs=frozenset(),
        server_wide=True,
    ),
)
