"""Profiles: which requirements weigh more, less or nothing for a kind of endpoint, each change with its reason.

A level is the requirement's; a profile says that this endpoint is one of those where it is another. The profile that
follows from the dialect is the vendor's own; `--profile` names another, such as `proxy` for what only passes on.
"""

import difflib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from streamgauge.conformance.requirement import MAY, MUST, SHOULD, Level
from streamgauge.errors import UsageError
from streamgauge.protocol.dialects.base import Dialect


class Rule(NamedTuple):
    """For the checks whose id matches `pattern`: another level, or None to leave them out; and why."""

    pattern: str
    level: Level | None
    why: str


class Profile(NamedTuple):
    """A kind of endpoint. Of several rules that match a check the last one counts."""

    name: str
    summary: str
    rules: tuple[Rule, ...] = ()

    def rule_for(self, check_id: str) -> Rule | None:
        """What this profile changes about a check, or None."""
        return next((rule for rule in reversed(self.rules) if fnmatchcase(check_id, rule.pattern)), None)


PLAIN: Final = Profile("plain", "no vendor: every requirement as it stands")

_VENDORS: Final = ("openai-chat", "openai-responses", "anthropic", "gemini", "ollama", "cohere")
_PASSED_ON: Final = "a proxy passes on what its upstream says, and it is the upstream that has to mend it"

PROFILES: Final[Mapping[str, Profile]] = {
    profile.name: profile
    for profile in (
        Profile("openai", "OpenAI, and servers that mean to be taken for it"),
        Profile(
            "azure",
            "Azure OpenAI: content filters, and chunks of their own for them",
            (
                Rule(
                    "openai-chat.constant-id",
                    MAY,
                    "the filter's chunks have an empty id and no time, and clients of Azure know them",
                ),
                Rule(
                    "openai-chat.error-shape",
                    SHOULD,
                    "errors of Azure's gateway have a code and a message, and no type",
                ),
            ),
        ),
        Profile(
            "mistral",
            "Mistral: OpenAI's chunks, with text, finish reason and usage in one",
            (
                Rule(
                    "openai-chat.finish-reason",
                    MAY,
                    "the last text shares its chunk with the reason, and there are reasons of Mistral's own",
                ),
                Rule("openai-chat.usage-chunk", MAY, "usage comes on the last chunk, asked for or not"),
            ),
        ),
        Profile(
            "openrouter",
            "OpenRouter: OpenAI's chunks from many providers, with an error inside of a chunk",
            (Rule("openai-chat.error-shape", MAY, "an error has a code and a message, and no type"),),
        ),
        Profile(
            "openresponses",
            "OpenResponses: OpenAI's Responses with data: [DONE] at the end",
            (
                Rule(
                    "openai-responses.error-then-failed",
                    MUST,
                    "the specification demands response.failed after error",
                ),
            ),
        ),
        Profile("anthropic", "Anthropic's Messages"),
        Profile(
            "gemini",
            "Gemini behind Google's front end",
            (Rule("framing.line-endings", MAY, "Google's front end ends every line with CRLF"),),
        ),
        Profile(
            "ollama",
            "Ollama's JSON lines",
            (
                Rule(
                    "http.validation-before-stream",
                    None,
                    "a request without a prompt is how Ollama is told to load a model: it is answered with 200",
                ),
                Rule("errors.content-filter", None, "Ollama filters nothing, and has no reason that would say so"),
                Rule("errors.machine-readable", MAY, 'every error of Ollama is {"error": "text"}, without a code'),
            ),
        ),
        Profile(
            "cohere",
            "Cohere's v2 chat",
            (
                Rule(
                    "errors.machine-readable",
                    MAY,
                    "a failure is a text in the last event, beside the finish reason ERROR",
                ),
            ),
        ),
        Profile(
            "aspnet",
            "an ASP.NET Core endpoint of one's own, held to what its guides ask for",
            (
                Rule(
                    "errors.machine-readable",
                    MUST,
                    "AddProblemDetails() and an SseItem of type error are one line each",
                ),
                Rule(
                    "custom.explicit-done-event",
                    MUST,
                    "an exception in the enumerator cuts the connection, and most clients take that for the end",
                ),
            ),
        ),
        Profile(
            "proxy",
            "a proxy or gateway that passes on somebody else's stream as it is",
            (
                *(Rule(f"{group}.*", MAY, _PASSED_ON) for group in (*_VENDORS, "custom")),
                Rule("text.json-valid", MAY, _PASSED_ON),
                Rule("text.delta-not-cumulative", MAY, _PASSED_ON),
                Rule("text.concat-equals-final", MAY, _PASSED_ON),
                Rule("termination.explicit-end", SHOULD, _PASSED_ON),
                Rule("security.no-raw-provider-error", None, "passing on the provider's errors is what it is for"),
                Rule("http.validation-before-stream", MAY, "a proxy leaves it to its upstream to judge requests"),
                Rule("headers.no-content-encoding", MUST, "it is the proxy that compresses, and so holds tokens back"),
                Rule("headers.x-accel-buffering", MAY, "it is the header of those behind a proxy"),
            ),
        ),
        PLAIN,
    )
}

_OF_DIALECT: Final = {
    "openai-chat": "openai",
    "openai-responses": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "ollama": "ollama",
    "ollama-generate": "ollama",
    "cohere": "cohere",
}


def by_name(name: str) -> Profile:
    """The profile called `name`. Raises UsageError with the nearest name on an unknown one."""
    if name in PROFILES:
        return PROFILES[name]
    near = difflib.get_close_matches(name, PROFILES, n=1)
    raise UsageError(
        f"unknown profile {name!r}" + (f" (did you mean {near[0]!r}?)" if near else ""),
        f"use one of: {', '.join(PROFILES)}",
    )


def of_dialect(dialect: Dialect | None) -> Profile:
    """The profile that follows from a dialect: its vendor's, or `plain` for shapes of one's own."""
    return PROFILES[_OF_DIALECT.get(dialect.name, PLAIN.name)] if dialect is not None else PLAIN
