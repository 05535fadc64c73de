"""How vendors that speak OpenAI Chat Completions deviate from it (docs/protocols.md#vendors-that-deviate)."""

from dataclasses import dataclass

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One vendor's deviations; the defaults are OpenAI's behaviour."""

    name: str = "openai"
    reasoning_key: str = "reasoning_content"  # in a delta; OpenAI itself never sends its reasoning
    content_filter: bool = False  # a chunk without id precedes all others; chunks carry content_filter_results
    shared_finish: bool = False  # the last token shares the chunk of finish_reason
    usage_on_finish: bool = False  # that chunk also carries the usage, requested or not
    comment: str | None = None  # sent at the start of the stream and as its heartbeat
    heartbeat_ns: int | None = None  # silence before a heartbeat
    error_in_chunk: bool = False  # an error mid-stream comes in a chunk whose finish_reason is "error"
    cache_counts: bool = False  # hits and misses of the prefix cache stand in the usage itself, if one is modelled
    provider: str | None = None  # value of "provider" in every chunk
    lacks: frozenset[str] = frozenset()  # features of the dialect that this vendor lacks


OPENAI = Profile()
PROFILES = {
    profile.name: profile
    for profile in (
        OPENAI,
        Profile(name="azure", content_filter=True),
        Profile(name="mistral", shared_finish=True, usage_on_finish=True, lacks=frozenset({"usage-chunk"})),
        Profile(name="deepseek", comment="keep-alive", heartbeat_ns=SECOND_NS, cache_counts=True),
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
