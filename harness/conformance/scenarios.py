"""The requests that feed the checks. What each one is for, and what it takes; `harness/plays/` makes them."""

from typing import Final, NamedTuple

from harness.conformance.optins import OptIn

MOCK: Final = "--mock URL, with the endpoint's upstream set to that mock provider"
STREAM: Final = "a request that is answered with a stream: --body, --header, --api-key-env or --dialect"


class Scenario(NamedTuple):
    """A kind of request; one scenario may make several, told apart by their variant.

    `opt_in` are the permissions without which it is not played.
    """

    name: str
    summary: str
    mock: bool = False
    opt_in: tuple[OptIn, ...] = ()

    def missing(self, *, mock: bool, allowed: frozenset[OptIn]) -> list[str]:
        """What has to be given before it can be played; empty when it can."""
        missing = [MOCK] if self.mock and not mock else []
        return missing + [opt_in.value for opt_in in self.opt_in if opt_in not in allowed]


SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario("happy", "an ordinary stream"),
        Scenario("happy-2", "another ordinary stream, to compare with the first"),
        Scenario("gzip", "an ordinary stream by a client that offers compression"),
        Scenario("http10", "the same request as HTTP/1.0"),
        Scenario("head", "HEAD on the same URL"),
        Scenario("wrong-method", "the method that the endpoint does not serve"),
        Scenario("bad-json", "bodies that are not what the endpoint accepts"),
        Scenario("text-plain", "the valid body labelled text/plain"),
        Scenario("invalid", "a missing and a blank prompt"),
        Scenario("accept", "four values of Accept"),
        Scenario("no-auth", "without and with a wrong credential"),
        Scenario("no-stream", "the same request with stream: false"),
        Scenario("cors", "a foreign Origin, plain and as a preflight"),
        Scenario("lockstep", "each token is released only after the one before it has arrived", mock=True),
        Scenario("unicode", "tokens of several bytes a character", mock=True),
        Scenario("newlines", "tokens with line breaks", mock=True),
        Scenario("whitespace", "tokens that begin, end or consist of white space", mock=True),
        Scenario("separators", "tokens with U+2028, U+2029, U+0085, VT and FF", mock=True),
        Scenario("injection", "tokens that look like event-stream fields", mock=True),
        Scenario("big", "a token of 100 KiB", mock=True),
        Scenario("mid-error", "the upstream reports an error after some tokens", mock=True),
        Scenario("mid-rst", "the upstream's connection is reset after some tokens", mock=True),
        Scenario("pre-error", "the upstream refuses before the first token", mock=True),
        Scenario("quiet-middle", "a long silence in mid-stream", mock=True, opt_in=(OptIn.LONG,)),
        Scenario("quiet-start", "a long silence before the first token", mock=True, opt_in=(OptIn.LONG,)),
        Scenario("quiet-forever", "an upstream that stops for ever after 3 tokens", mock=True, opt_in=(OptIn.LONG,)),
        Scenario("cancel-mid", "the client leaves after 5 tokens", mock=True),
        Scenario("cancel-early", "the client leaves before the first token", mock=True),
    )
}

HAPPY: Final = ("happy", "happy-2")
# Everything in them comes from the endpoint's own ordinary behaviour, so every rule of form applies.
PLAIN: Final = (*HAPPY, "gzip")
