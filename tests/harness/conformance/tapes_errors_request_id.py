"""Examples for request ids in errors."""

from tests.harness.conformance.tapes import Examples, Tape, headers
from tests.harness.conformance.tapes_upstream import TOKEN

examples = Examples()

check = "errors.request-id-same"
HEAD = headers(x_request_id="r-1")
PLAIN = headers(content_type="application/json", x_request_id="r-1")


def failed(request_id: str, **more: object) -> Tape:
    error = b'event: error\ndata: {"error":{"message":"no","request_id":"%b"}}\n\n' % request_id.encode()
    return Tape(**{"scenario": "mid-error", "body": TOKEN + error, "headers": HEAD, **more})  # type: ignore[arg-type]


examples.add(check, "pass", failed("r-1"))
examples.add(check, "warn", failed("r-2"))
examples.add(
    check, "pass", Tape(scenario="invalid", status=400, headers=PLAIN, body=b'{"requestId":"r-1","message":"no"}')
)
examples.add(
    check, "warn", Tape(scenario="invalid", status=400, headers=PLAIN, body=b'{"requestId":"r-2","message":"no"}')
)
examples.add(check, "not-applicable", failed("r-1", headers=headers()))
examples.add(check, "not-applicable", Tape(body=TOKEN, headers=HEAD))
