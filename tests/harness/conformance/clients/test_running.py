"""How a run of a client ends, with clients made for it."""

from collections.abc import Callable, Iterator

import pytest

from streamgauge.conformance.clients.base import (
    Body,
    Client,
    EmulatedError,
    Message,
    RefusedError,
    ReportedError,
    any_event_stream,
)
from streamgauge.conformance.clients.running import Ending, How, Ran, run

PIECES = [b"ab", b"cd"]


def ran(read: Callable[[Body], Iterator[Message]], ending: Ending = Ending.EOF) -> Ran:
    return run(Client("test", "here", read, any_event_stream), Body(PIECES), ending)


def everything(body: Body) -> Iterator[Message]:
    for piece in body:
        yield Message(piece.decode())


def one(body: Body) -> Iterator[Message]:
    yield Message(next(iter(body)).decode())


@pytest.mark.parametrize(
    ("ending", "how"), [(Ending.EOF, How.ENDED), (Ending.NOTHING, How.WAITING), (Ending.BROKEN, How.BROKEN)]
)
def test_a_client_that_reads_on_meets_the_ending(ending: Ending, how: How) -> None:
    result = ran(everything, ending)
    assert (result.how, [message.data for message in result.messages]) == (how, ["ab", "cd"])
    assert (result.came, result.handed) == ([2, 4], 4)


@pytest.mark.parametrize("ending", Ending)
def test_a_client_that_stops_does_not(ending: Ending) -> None:
    assert (ran(one, ending).how, ran(one, ending).handed) == (How.STOPPED, 2)


@pytest.mark.parametrize("ending", [Ending.NOTHING, Ending.BROKEN])
def test_no_client_swallows_the_ending(ending: Ending) -> None:
    def stubborn(body: Body) -> Iterator[Message]:
        try:
            yield from everything(body)
        except Exception:
            yield Message("swallowed")

    assert ran(stubborn, ending).messages[-1] == Message("cd")


@pytest.mark.parametrize(
    ("error", "how", "told"),
    [
        (ReportedError("APIError: no"), How.REPORTED, "APIError: no"),
        (RefusedError("a label"), How.REFUSED, "a label"),
        (EmulatedError("SyntaxError: x"), How.RAISED, "SyntaxError: x"),
        (ValueError("x"), How.RAISED, "ValueError: x"),
        (RecursionError("deep"), How.RAISED, "RecursionError: deep"),
    ],
)
def test_whatever_a_decoder_raises_is_a_result(error: Exception, how: How, told: str) -> None:
    def failing(body: Body) -> Iterator[Message]:
        yield Message(next(iter(body)).decode())
        raise error

    result = ran(failing)
    assert (result.how, result.error, result.handed) == (how, told, 2)


def test_bytes_that_are_no_text_are_named_and_not_quoted() -> None:
    def strict(body: Body) -> Iterator[Message]:
        yield Message((b"".join(body) + b"\xff").decode())

    result = ran(strict)
    assert (result.error, result.torn) == ("UnicodeDecodeError: invalid start byte", (b"abcd\xff", 4))
