"""Lengths in tokens as text: `480`, `N(480,240)`, `U(100,900)`, `lognormal(480,0.5)`; and prefixes: `200*4`.

A length is the inverse of its distribution at a number from `random()`. Python guarantees that only the numbers of
`random()` never change, so the lengths are the same on every machine and version.
"""

import math
import re
from statistics import NormalDist
from typing import Final, NamedTuple

import msgspec

from streamgauge.errors import UsageError

MOST_TOKENS: Final = 1_000_000
MOST_PREFIXES: Final = 1_000_000
MOST_SIGMA: Final = 10.0

_MODEL: Final = re.compile(r"([a-z]+)\(([^()]*)\)", re.IGNORECASE | re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_NAMES: Final = {
    "n": "normal", "normal": "normal", "u": "uniform", "uniform": "uniform", "lognormal": "lognormal",
}  # fmt: skip
_STANDARD: Final = NormalDist()
_HINT: Final = (
    "write 480, 'N(480,240)' (mean, deviation), 'U(100,900)' (bounds) or 'lognormal(480,0.5)' "
    "(median, sigma of the logarithm); in quotes, because of the shell"
)


class Length(msgspec.Struct, frozen=True):
    """A fixed or drawn number of tokens. `first` and `second` are the model's parameters, as written."""

    model: str
    first: float
    second: float = 0.0

    def at(self, u: float) -> int:
        """The length, in whole tokens from 1 to MOST_TOKENS, below which a share `u` (0 to 1) of all lengths lies.

        A normal distribution is cut off at 1, not clamped to 1: that would make many prompts of one token.
        """
        match self.model:
            case "fixed":
                length = self.first
            case "uniform":
                length = min(self.first + math.floor(u * (self.second - self.first + 1)), self.second)
            case "lognormal":
                exponent = min(self.second * _standard(u), 100.0)  # e^100 is above every bound
                length = self.first * math.exp(exponent)
            case _:
                below = _STANDARD.cdf((0.5 - self.first) / self.second)
                length = self.first + self.second * _standard(below + (1 - below) * u)
        return min(max(round(length), 1), MOST_TOKENS)

    def __str__(self) -> str:
        if self.model == "fixed":
            return f"{self.first:.0f}"
        name = {"normal": "N", "uniform": "U"}.get(self.model, self.model)
        return f"{name}({self.first:g},{self.second:g})"


class Prefixes(NamedTuple):
    """So many distinct prefixes of so many tokens each."""

    tokens: int
    distinct: int


def parse_length(text: str, option: str) -> Length:
    """The length that an option gives. Raises UsageError that names the option and quotes the grammar."""
    match = _MODEL.fullmatch(text.strip())
    if match is None:
        return Length("fixed", _tokens(text, text, option, _HINT))
    model = _NAMES.get(match[1].lower())
    arguments = [part.strip() for part in match[2].split(",")]
    if model is None or len(arguments) != 2:
        raise UsageError(f"{option} {text!r} is not a length", _HINT)
    first = _tokens(arguments[0], text, option, _HINT)
    if model == "uniform":
        second: float = _tokens(arguments[1], text, option, _HINT)
        if second < first:
            raise UsageError(f"{option} {text!r}: the upper bound is below the lower", _HINT)
        return Length(model, first, second)
    if not _NUMBER.fullmatch(arguments[1]) or not float(arguments[1]) > 0:
        raise UsageError(f"{option} {text!r}: {arguments[1]!r} is not a number above 0", _HINT)
    second = float(arguments[1])
    if second > (MOST_SIGMA if model == "lognormal" else MOST_TOKENS):
        raise UsageError(f"{option} {text!r}: {arguments[1]} is too much; sigma is at most {MOST_SIGMA:g}", _HINT)
    return Length(model, first, second)


def parse_prefixes(text: str) -> Prefixes:
    """`200*4`: four prefixes of 200 tokens; `200` is one. Raises UsageError on anything else."""
    hint = "write 200 (one prefix of 200 tokens for all) or '200*4' (four, each stream has one of them)"
    tokens, star, count = text.strip().partition("*")
    prefixes = Prefixes(
        _tokens(tokens, text, "--prefix-tokens", hint),
        _tokens(count, text, "--prefix-tokens", hint) if star else 1,
    )
    if prefixes.distinct > MOST_PREFIXES:
        raise UsageError(f"--prefix-tokens {text!r}: there can be {MOST_PREFIXES:,} prefixes at most", hint)
    return prefixes


def _tokens(part: str, text: str, option: str, hint: str) -> int:
    cleaned = part.strip()
    if not (cleaned.isascii() and cleaned.isdecimal()) or len(cleaned) > 9 or not 1 <= int(cleaned) <= MOST_TOKENS:
        raise UsageError(f"{option} {text!r}: {cleaned!r} is not a whole number from 1 to {MOST_TOKENS:,}", hint)
    return int(cleaned)


def _standard(u: float) -> float:
    """The standard normal value below which a share `u` lies; the ends, which are infinite, are cut off."""
    return _STANDARD.inv_cdf(min(max(u, 1e-12), 1 - 1e-12))
