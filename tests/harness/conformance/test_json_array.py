"""What check says of an answer that is a JSON array, as ASP.NET Core sends an IAsyncEnumerable."""

import pytest

from streamgauge.conformance.result import Verdict
from tests.harness.conformance.examples import judge
from tests.harness.conformance.tapes import Example, Tape, headers

ARRAY = b'[{"token":"a "},{"token":"b "},{"token":"c"}]'


@pytest.mark.parametrize(
    ("length", "said"), [(None, "one growing JSON array"), (str(len(ARRAY)), "one JSON array that is sent whole")]
)
def test_an_array_with_a_length_is_not_called_growing(length: str | None, said: str) -> None:
    tape = Tape(body=ARRAY, headers=headers(content_type="application/json", content_length=length))

    _, result = judge(Example("headers.content-type", Verdict.FAIL, (tape,)))

    assert result.verdict is Verdict.FAIL
    assert said in result.actual
