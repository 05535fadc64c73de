"""The requests that feed the checks: what each one is for, and what it takes. `scenarios/` beside this makes them."""

from enum import StrEnum
from typing import Final, NamedTuple

from streamgauge.conformance.optins import OptIn

MOCK: Final = "--mock URL, with the endpoint's upstream set to that mock provider"
PLACE: Final = "to be told where the prompt goes: {{prompt}} in the URL or in --body FILE"
STREAM: Final = "a request that is answered with a stream: --body, --header, --api-key-env or --dialect"

CUT_AFTER_TOKENS: Final = 5  # of the upstream's in `mid-cut` and `mid-end`
LEAVE_AFTER_TOKENS: Final = 5
STORM: Final = 20


MAX_OUTPUT: Final = 5  # tokens that one scenario allows


class Turn(StrEnum):
    """When a scenario is played."""

    FIRST = "first"  # alone; without a stream in it there is nothing more to do
    TOGETHER = "together"  # beside others
    SILENT = "silent"  # beside everything: it waits for minutes, and hardly anything is sent
    ALONE = "alone"  # because it measures time, or is a load
    LAST = "last"  # alone, after everything else


class Scenario(NamedTuple):
    """A kind of request; one scenario may make several, told apart by their variant.

    `opt_in` are the permissions without which it is not played; `part_of` names the one whose requests show it too.
    """

    name: str
    summary: str
    mock: bool = False
    opt_in: tuple[OptIn, ...] = ()
    turn: Turn = Turn.TOGETHER
    part_of: str | None = None

    def missing(self, *, mock: bool, allowed: frozenset[OptIn]) -> list[str]:
        """What has to be given before it can be played; empty when it can."""
        missing = [MOCK] if self.mock and not mock else []
        return missing + [opt_in.value for opt_in in self.opt_in if opt_in not in allowed]


SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario("happy", "an ordinary stream", turn=Turn.FIRST),
        Scenario("happy-2", "another ordinary stream, to compare with the first", turn=Turn.LAST),
        Scenario("gzip", "an ordinary stream by a browser on another site, which offers compression", turn=Turn.ALONE),
        Scenario("http10", "the same request as HTTP/1.0, without Accept"),
        Scenario("head", "HEAD on the same URL"),
        Scenario("wrong-method", "the method that the endpoint does not serve"),
        Scenario("bad-json", "bodies that are not what the endpoint accepts"),
        Scenario("text-plain", "the valid body labelled text/plain"),
        Scenario("invalid", "a missing and a blank prompt"),
        Scenario("accept", "the same request by a client that accepts only JSON"),
        Scenario("no-auth", "without and with a wrong credential"),
        Scenario("no-stream", "the same request with stream: false"),
        Scenario("cors", "a preflight from a foreign Origin"),
        Scenario(
            "lockstep", "each token is released only after the one before it has arrived", mock=True, turn=Turn.ALONE
        ),
        Scenario("texts", "tokens that get lost or misread on the way", mock=True),
        Scenario("unicode", "tokens of several bytes a character", mock=True, part_of="texts"),
        Scenario("newlines", "tokens with line breaks", mock=True, part_of="texts"),
        Scenario("whitespace", "tokens that begin, end or consist of white space", mock=True, part_of="texts"),
        Scenario("separators", "tokens with U+2028, U+2029, U+0085, VT and FF", mock=True, part_of="texts"),
        Scenario("injection", "tokens that look like event-stream fields", mock=True, part_of="texts"),
        Scenario("big", "a token of 100 KiB", mock=True, part_of="texts"),
        Scenario("tools", "reasoning, then two tool calls", mock=True),
        Scenario("mid-error", "the upstream reports an error after some tokens", mock=True),
        Scenario("mid-cut", "the upstream's connection ends in the middle of an event", mock=True),
        Scenario("mid-end", "the upstream's answer ends cleanly in the middle, without its end marker", mock=True),
        Scenario("pre-error", "the upstream refuses before the first token", mock=True),
        Scenario("too-long", "the upstream says that the prompt is too long", mock=True),
        Scenario("length", "an answer that ends at its length limit", mock=True, part_of="texts"),
        Scenario("filtered", "an answer that ends at the upstream's content filter", mock=True),
        Scenario("quiet-middle", "a long silence in mid-stream", mock=True, opt_in=(OptIn.LONG,), turn=Turn.SILENT),
        Scenario(
            "quiet-start", "a long silence before the first token", mock=True, opt_in=(OptIn.LONG,), turn=Turn.SILENT
        ),
        Scenario(
            "quiet-forever",
            "an upstream that stops for ever after 3 tokens",
            mock=True,
            opt_in=(OptIn.LONG,),
            turn=Turn.SILENT,
        ),
        Scenario(
            "quiet-silent",
            "an upstream that never answers",
            mock=True,
            opt_in=(OptIn.LONG,),
            turn=Turn.SILENT,
        ),
        Scenario("oversize", "prompts of growing length"),
        Scenario("max-output", f"an answer of at most {MAX_OUTPUT} tokens"),
        Scenario("saturate", "many long streams at once", opt_in=(OptIn.LOAD,), turn=Turn.ALONE),
        Scenario(
            "second-user",
            "another user, while one has many streams",
            opt_in=(OptIn.LOAD, OptIn.SECOND_KEY),
            turn=Turn.ALONE,
            part_of="saturate",
        ),
        Scenario("burst", "many short requests in quick succession", opt_in=(OptIn.LOAD,), turn=Turn.ALONE),
        Scenario("canaries", "8 streams at once, each with a word of its own", opt_in=(OptIn.LOAD,), turn=Turn.ALONE),
        Scenario("resume", "a stream that is cut and asked for again, as EventSource does"),
        Scenario("replay", "another user asks for the rest of a stream that was cut", opt_in=(OptIn.SECOND_KEY,)),
        Scenario(
            "trickle", "an upstream that never comes to an end", mock=True, opt_in=(OptIn.LONG,), turn=Turn.SILENT
        ),
        Scenario("reconnect", "the reconnect of an EventSource after the end of a stream"),
        Scenario("http2", "the same request over HTTP/2"),
        Scenario("cancel-mid", "the client leaves after 5 tokens", mock=True),
        Scenario("cancel-early", "the client leaves before the first token, by a reset", mock=True),
        Scenario("half-close", "the client closes its sending side after 5 tokens, and reads on", mock=True),
        Scenario("stalled-reader", "a client that stops reading", mock=True, opt_in=(OptIn.LONG,), turn=Turn.ALONE),
        Scenario("storm", f"{STORM} clients that leave in odd moments", opt_in=(OptIn.LOAD,), turn=Turn.ALONE),
        Scenario("slots", "many streams at once, left and opened again", opt_in=(OptIn.LOAD,), turn=Turn.ALONE),
    )
}

HAPPY: Final = ("happy", "happy-2")
# Everything in them comes from the endpoint's own ordinary behaviour, so every rule of form applies.
PLAIN: Final = (*HAPPY, "gzip")
