"""What users read of the checks: ids that last, and words that are complete and lead somewhere."""

import re

from streamgauge.conformance.checks import CHECKS
from streamgauge.conformance.groups import GROUPS

# Baselines, reports and pipelines name them: none is lost, renamed or added without this list saying so.
NAMES = {
    "http": (
        "status-200 method-not-allowed head-no-body bad-json-400 validation-before-stream unauthenticated-401 "
        "accept-negotiation chunked-framing no-content-length http10-no-chunked h2-no-connection-headers "
        "unambiguous-framing keeps-accepting announces-close"
    ),
    "headers": (
        "content-type cache-control x-accel-buffering no-content-encoding no-duplicates retry-after request-id"
    ),
    "framing": (
        "known-fields event-terminated no-merged-events data-prefix-every-line no-rewrapped-lines "
        "single-line-json line-endings no-bom space-after-colon no-empty-data no-metadata-only-blocks "
        "id-retry-valid event-size-64k"
    ),
    "text": (
        "utf8-valid newline-roundtrip whitespace-roundtrip unicode-line-separators-escaped json-valid "
        "delta-not-cumulative concat-equals-final upstream-forms markup-verbatim"
    ),
    "openai-chat": (
        "chunk-shape constant-id finish-reason usage-chunk empty-choices-only-usage tool-call-deltas "
        "tool-args-json no-null-error-key done-sentinel error-shape stream-flag-honoured"
    ),
    "openai-responses": (
        "event-matches-type sequence-number item-lifecycle payload-shape single-terminal-last error-then-failed"
    ),
    "anthropic": (
        "event-name-matches-type event-order payload-shape message-delta-stop-reason message-stop-last ping-json "
        "error-event"
    ),
    "gemini": "candidates-shape finish-reason data-lines-only",
    "ollama": "one-json-per-line payload-shape done-true-last error-line",
    "cohere": "payload-shape lifecycle",
    "custom": (
        "consistent-shape token-done-shape explicit-done-event event-names-stable raw-text-hazard schema ai-sdk-chunks"
    ),
    "termination": (
        "explicit-end single-terminal closes-after-terminal truncation-distinguishable max-duration no-eventsource-loop"
    ),
    "errors": (
        "pre-stream-status upstream-timeout mid-stream-event machine-readable distinguishable-from-content "
        "no-success-after-error partial-event-terminated-first message-framed context-length "
        "retry-amplification content-filter rate-limit-kept caller-fault-kept gateway-key-hidden request-id-same"
    ),
    "cancel": (
        "upstream-aborted before-first-token abort-variants half-close slot-released server-survives "
        "slow-reader-bounded"
    ),
    "fidelity": (
        "usage whole-equals-streamed limit-passed-on upstream-stopped finish-reason history system-prompt model-named "
        "no-cache cost-given saved-whole saved-part-marked"
    ),
    "flush": (
        "lockstep no-one-behind incremental headers-early compression-flushes proxy-delta burstiness upstream-forms"
    ),
    "liveness": (
        "heartbeat-idle-15s heartbeat-before-first-token heartbeat-is-comment heartbeat-shape-safe "
        "heartbeat-not-masking-stall"
    ),
    "resume": "last-event-id-honoured no-regeneration",
    "limits": "input-size concurrency-429 rate-429 per-user-not-global max-output-honoured parallel-isolation",
    "promise": "max-input context concurrent rate duration heartbeat retry-after request-id auth",
    "security": (
        "no-secret-leak no-raw-provider-error no-stack-trace sse-injection prompt-not-in-url "
        "cors-no-wildcard-credentials replay-scoped"
    ),
}
EXPECTED = {f"{group}.{name}" for group, names in NAMES.items() for name in names.split()}


def test_every_check_that_is_promised_exists() -> None:
    assert CHECKS.keys() == EXPECTED
    assert list(NAMES) == list(GROUPS)


def test_references_can_be_followed() -> None:
    """A standard, a vendor's page, a report, or what was read: with an address, or by the name of what it is."""
    named = re.compile(r"https://\S+$|\w#\d+$|, (?:run|read): ")
    given = {reference for check in CHECKS.values() for reference in check.requirement.references}

    assert [reference for reference in given if not named.search(reference)] == []
    assert len({reference.partition("://")[0] for reference in given}) == len(given), "one page under one name"


def test_the_words_are_whole_and_fit_one_line() -> None:
    for check in CHECKS.values():
        rule = check.requirement
        words = [rule.statement, rule.breaks or "", rule.fix, *rule.references]
        assert all(text.isprintable() for text in words), check.id
        assert len(rule.statement) <= 250, check.id
        assert rule.breaks is None or rule.breaks.endswith("."), check.id
