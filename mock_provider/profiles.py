"""How vendors that speak OpenAI Chat Completions deviate from it (docs/protocols.md#vendors-that-deviate)."""

from dataclasses import dataclass

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One vendor's deviations; the defaults are OpenAI's ways."""

    name: str = "openai"
    reasoning_key: str = "reasoning_content"  # of a delta; OpenAI itself never tells its reasoning
    content_filter: bool = False  # a chunk without id precedes all others; chunks carry content_filter_results
    shared_finish: bool = False  # the last token shares the chunk of finish_reason
    usage_on_finish: bool = False  # and so does the usage, asked for or not
    comment: str | None = None  # opens the stream and breaks its silences
    heartbeat_ns: int | None = None  # of silence before a comment
    error_in_chunk: bool = False  # an error mid-stream comes in a chunk whose finish_reason is "error"
    provider: str | None = None  # named in every chunk
    lacks: frozenset[str] = frozenset()  # features of the dialect that it has not, which faults may need


OPENAI = Profile()
PROFILES = {
    profile.name: profile
    for profile in (
        OPENAI,
        Profile(name="azure", content_filter=True),
        Profile(name="mistral", shared_finish=True, usage_on_finish=True, lacks=frozenset({"usage-chunk"})),
        Profile(name="deepseek", comment="keep-alive", heartbeat_ns=SECOND_NS),
        Profile(
            name="openrouter",
            reasoning_key="reasoning",
            comment="OPENROUTER PROCESSING",
            heartbeat_ns=SECOND_NS,
            error_in_chunk=True,
            provider="Mock",
        ),
    )
}
