"""The fixture `streamgauge_stream`: like `streamgauge.probe`, but a failed connection is an outcome too."""

from typing import Any, Final

import msgspec

from streamgauge.endpoint.client import StreamClient
from streamgauge.endpoint.probe import Stream, read_stream
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.endpoint.target import Target
from streamgauge.endpoint.target_input import ready

DEADLINE_S: Final = 120.0


def open_stream(
    target: str | Target | RequestSpec,
    *,
    prompt: str | None = None,
    deadline_s: float = DEADLINE_S,
    **options: Any,
) -> Stream:
    """Open a stream and read it to its end.

    `target` is a URL, a Target or one request; `options` are keys of a target file, such as method, body, headers,
    dialect or api_key_env. Raises UsageError on a target that cannot be used, CannotMeasure when nothing listens there.
    """
    if isinstance(target, RequestSpec):
        with StreamClient() as client:
            return Stream(client.run(target, deadline_s=deadline_s))
    given = Target(url=target) if isinstance(target, str) else target
    return read_stream(ready(msgspec.structs.replace(given, **options)), prompt, deadline_s)
