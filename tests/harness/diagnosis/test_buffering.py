"""What a diagnosis keeps of an answer's head."""

import pytest

from streamgauge.diagnosis.buffering import kept_headers
from streamgauge.diagnosis.product import marked_headers
from streamgauge.wire import Head


@pytest.mark.parametrize("name", marked_headers())
def test_a_header_that_can_give_a_product_away_is_kept(name: str) -> None:
    """A mark that names the culprit has to be there as evidence."""
    assert kept_headers(Head(200, "OK", "1.1", ((name.title(), "x"),))) == {name: "x"}


def test_of_other_headers_those_are_kept_that_govern_buffering() -> None:
    head = Head(200, "OK", "1.1", (("X-Accel-Buffering", "no"), ("Set-Cookie", "a"), ("Content-Type", "y" * 500)))

    assert kept_headers(head) == {"content-type": "y" * 200, "x-accel-buffering": "no"}
    assert kept_headers(None) == {}
