"""The values a capture is made of."""

import pytest

from streamgauge.wire import Capture, Head, Read

HEAD = Head(200, "OK", "1.1", (("Via", "a"), ("content-TYPE", " Text/Event-Stream ; charset=x"), ("via", "b")))


def test_header_names_match_in_any_case_and_repetitions_are_joined_in_order() -> None:
    assert HEAD.get("VIA") == "a, b"
    assert HEAD.all("Via") == ["a", "b"]


def test_an_absent_header_is_none() -> None:
    assert HEAD.get("server") is None
    assert HEAD.all("server") == []
    assert Head(200, "", "1.1", ()).media_type is None


def test_the_media_type_is_without_parameters_and_lower_case() -> None:
    assert HEAD.media_type == "text/event-stream"
    assert Head(200, "", "1.1", (("Content-Type", "text/event-stream;"),)).media_type == "text/event-stream"


@pytest.mark.parametrize(
    ("stamped", "expected"), [([], None), ([True], "kernel"), ([False], "user"), ([True, False], "mixed")]
)
def test_the_stamp_source_is_that_of_all_reads(stamped: list[bool], expected: str | None) -> None:
    capture = Capture(0, reads=[Read(1, 1, 1, stamped=flag) for flag in stamped])
    assert capture.stamp_source == expected


def test_what_did_not_come_has_no_time() -> None:
    assert (Capture(0).first_byte_ns, Capture(0).headers_ns) == (None, None)


def test_the_head_is_complete_with_the_read_that_completed_it() -> None:
    capture = Capture(0, reads=[Read(5, 5, 1), Read(9, 9, 1)], head_read=1)
    assert (capture.first_byte_ns, capture.headers_ns) == (5, 9)
