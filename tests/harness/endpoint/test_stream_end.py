"""How streams end is learned from the first streams of a run, and never from one that failed."""

import pytest

from streamgauge.endpoint.stream_end import STREAMS, learn_end
from streamgauge.protocol.outcome import Ends
from streamgauge.protocol.transcript import Transcript
from tests.builders.tapes import stream

CHAT = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
STOP = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
DONE = b"data: [DONE]\n\n"
JSON = b'data: "a"\n\n'
ERROR = b'data: {"error":{"message":"boom"}}\n\n'


class Asked:
    """The further streams of a run."""

    def __init__(self, *bodies: bytes) -> None:
        self._bodies = list(bodies)
        self.count = 0

    def __call__(self) -> Transcript:
        self.count += 1
        return stream(self._bodies.pop(0))


@pytest.mark.parametrize("given", [Ends.CLOSE, Ends.MARKER, Ends.FINISH])
def test_what_the_user_says_is_not_doubted(given: Ends) -> None:
    asked = Asked()
    assert learn_end(given, stream(JSON), asked).ends is given
    assert asked.count == 0


@pytest.mark.parametrize("body", [CHAT + STOP + DONE, JSON + DONE, b"data: hello\n\n" + DONE])
def test_one_marker_is_enough(body: bytes) -> None:
    asked = Asked()
    assert learn_end(Ends.AUTO, stream(body), asked).ends is Ends.MARKER
    assert asked.count == 0


def test_a_shape_of_an_application_without_marker_is_learned_from_three_streams() -> None:
    asked = Asked(JSON, JSON)
    learned = learn_end(Ends.AUTO, stream(JSON), asked)
    assert (learned.ends, learned.caveat, asked.count) == (Ends.CLOSE, None, STREAMS - 1)
    assert learned.reason == "the first 3 streams ended properly without an end marker"


def test_a_vendors_marker_is_waived_only_after_finish_reasons_and_with_a_caveat() -> None:
    learned = learn_end(Ends.AUTO, stream(CHAT + STOP), Asked(CHAT + STOP, CHAT + STOP))
    assert learned.ends is Ends.FINISH
    assert (learned.caveat or "").startswith("openai-chat prescribes an end marker (data: [DONE]), but the first 3 ")
    assert learn_end(Ends.AUTO, stream(CHAT), Asked()).ends is Ends.AUTO
    assert learn_end(Ends.AUTO, stream(CHAT + STOP), Asked(CHAT)).ends is Ends.AUTO


@pytest.mark.parametrize("first", [JSON, CHAT + STOP])
def test_a_later_stream_with_a_marker_decides(first: bytes) -> None:
    assert learn_end(Ends.AUTO, stream(first), Asked(first, first + DONE)).ends is Ends.MARKER


@pytest.mark.parametrize("body", [ERROR, CHAT + ERROR, b": hi\n\n", CHAT + STOP[:40] + b"\n\n"])
def test_nothing_is_learned_from_a_stream_that_failed(body: bytes) -> None:
    asked = Asked()
    assert learn_end(Ends.AUTO, stream(body), asked).ends is Ends.AUTO
    assert asked.count == 0
    assert learn_end(Ends.AUTO, stream(JSON), Asked(body)).ends is Ends.AUTO
