"""How to see a check fail: a fault of the mock's or of the buffering proxy, and the commands that show it."""

from shlex import quote
from typing import Final, NamedTuple

from streamgauge.conformance.applies import two_paths
from streamgauge.conformance.cases import Case
from streamgauge.conformance.optins import OptIn
from streamgauge.conformance.registry import Check
from streamgauge.mock_provider.dialects import DIALECTS
from streamgauge.mock_provider.faults import FAULTS
from streamgauge.mock_provider.faults.base import Fault
from streamgauge.protocol import dialects

PORT: Final = 9000
_MOCK: Final = f"http://127.0.0.1:{PORT}"
_PROXY: Final = f"http://127.0.0.1:{PORT + 1}"

# Where each dialect is asked; the first that fits is taken.
_SHOWN: Final = {
    "openai-chat": f"{_MOCK}/v1/chat/completions",
    "token-done": f"{_MOCK}/api/chat/stream",
    "json-string": f"{_MOCK}/api/chat/stream?message={{{{prompt}}}}",
    "event-json": f"{_MOCK}/api/chat/events?message={{{{prompt}}}}",
    "event-text": f"{_MOCK}/chat/stream",
    "raw-text": f"{_MOCK}/stream?message={{{{prompt}}}}",
    "openai-responses": f"{_MOCK} --dialect openai-responses",
    "anthropic": f"{_MOCK} --dialect anthropic",
    "gemini": f"{_MOCK} --dialect gemini",
    "ollama": f"{_MOCK} --dialect ollama",
    "cohere": f"{_MOCK} --dialect cohere",
}
# Where the mock calls it otherwise than the reader does.
_MOCKS_NAME: Final = {"ollama": "ollama-chat"}
# Given to every stream of the mock at that place, whatever is asked.
_GIVEN: Final = frozenset({"stream", "finite", "http/1.0", "http/1.1", "lf"})
_ARGUMENTS: Final = {"late-close": "late-close:2s", "stall": "stall@4"}
# What only something between client and mock can do wrong: the flags of the proxy, and the shape that is asked for.
_PROXY_FLAGS: Final = {
    "cancel.abort-variants": ("--ignore-abort", "openai-chat"),
    "cancel.before-first-token": ("--ignore-abort", "openai-chat"),
    "cancel.slow-reader-bounded": ("--until-close", "openai-chat"),
    "cancel.upstream-aborted": ("--ignore-abort", "openai-chat"),
    "errors.partial-event-terminated-first": ("--on-break glued", "token-done"),
    "errors.retry-amplification": ("--retries 3", "token-done"),
    "errors.upstream-timeout": ("", "openai-chat"),
    "flush.proxy-delta": ("--hold-bytes 4096", "openai-chat"),
    "termination.max-duration": ("", "openai-chat"),
    "termination.truncation-distinguishable": ("", "openai-chat"),
}
# What takes more than a fault: the flags of the mock, and the shape that is asked for.
_MOCK_FLAGS: Final = {
    "cancel.slot-released": ("--key-slots 3 --fault leaks-slots", "openai-chat"),
    "custom.raw-text-hazard": ("", "raw-text"),
    "errors.machine-readable": ("", "event-text"),
    "flush.incremental": ("--fault no-flush --itl 50ms", "openai-chat"),
    "flush.lockstep": ("--fault no-flush", "openai-chat"),
    "headers.retry-after": ("--key-rate 5 --fault no-retry-after", "openai-chat"),
    "limits.concurrency-429": ("--key-slots 3 --fault overload-status", "openai-chat"),
    "limits.per-user-not-global": ("--slots 3 --queue-policy reject", "openai-chat"),
    "limits.rate-429": ("--key-rate 5 --fault overload-status", "openai-chat"),
    "liveness.heartbeat-before-first-token": ("--heartbeat 0", "openai-chat"),
    "liveness.heartbeat-idle-15s": ("--heartbeat 0", "openai-chat"),
    "liveness.heartbeat-is-comment": ("--fault heartbeat-data", "openai-chat"),
    "liveness.heartbeat-not-masking-stall": ("--heartbeat 15s", "openai-chat"),
    "liveness.heartbeat-shape-safe": ("--fault heartbeat-after-id", "openai-chat"),
    "resume.last-event-id-honoured": ("--fault resume-gap", "token-done"),
    "resume.no-regeneration": ("--fault retry", "token-done"),
    "termination.no-eventsource-loop": ("", "raw-text"),
    "text.concat-equals-final": ("--fault swapped-events", "openai-responses"),
    "security.prompt-not-in-url": ("", "raw-text"),
    "security.replay-scoped": ("--fault resume-unscoped", "token-done"),
}
# Groups that tell more when the mock plays what they ask for.
_STEERED: Final = frozenset(
    {"anthropic", "cancel", "cohere", "errors", "flush", "limits"}
    | {"ollama", "openai-chat", "openai-responses", "resume"}
)
# With these no stream comes, so `check` ends before it judges anything.
_NO_STREAM: Final = frozenset({"status", "status-lines", "html-200", "silent", "no-answer", "accept-close", "rst-at"})
# Checks that make the mock fail in a way of their own, which no fault of the whole server's can change.
_HIDDEN: Final = frozenset({"errors.content-filter", "errors.context-length", "errors.mid-stream-event"})


class Demonstration(NamedTuple):
    """Each of the `servers` in a shell of its own; then `check` objects."""

    servers: tuple[str, ...]
    check: str


def faults_of(check: Check) -> list[Fault]:
    """The faults that the check is there to find, the ones that trip little else first."""
    return sorted((fault for fault in FAULTS.values() if check.id in fault.trips), key=lambda fault: len(fault.trips))


def demonstration(check: Check) -> Demonstration | None:
    """How the check can be seen to object; None when nothing here can make it."""
    if chosen := _PROXY_FLAGS.get(check.id):
        flags, shape = chosen
        servers = _mock_command(), f"streamgauge proxy {_MOCK} --port {PORT + 1} {flags}".strip()
        direct = _SHOWN[shape]
        proxied = direct.replace(_MOCK, _PROXY)
        address = f"{direct} --via {proxied}" if check.applies is two_paths else proxied
        return Demonstration(servers, _check_command(check, address))
    if chosen := _MOCK_FLAGS.get(check.id):
        flags, shape = chosen
        return Demonstration((_mock_command(flags),), _check_command(check, _SHOWN[shape]))
    for fault in faults_of(check) if check.id not in _HIDDEN else ():
        for name, address in _SHOWN.items():
            if _shows(name, fault) and check.applies(_case(name)) is None:
                return Demonstration((_mock_command(_flags(fault)),), _check_command(check, address))
    return None


def _case(name: str) -> Case:
    """What would be known of the mock, asked in that dialect."""
    return Case(dialect=dialects.by_name(name), method="POST", has_credential=True, takes_limit=True)


def _shows(name: str, fault: Fault) -> bool:
    shown = next(one for one in DIALECTS if one.name == _MOCKS_NAME.get(name, name))
    asked = frozenset({"tool-calls"}) if "tools" in shown.features else frozenset()
    return fault.name not in _NO_STREAM and fault.needs <= shown.features | _GIVEN | asked


def _flags(fault: Fault) -> str:
    words = ["--fault", _ARGUMENTS.get(fault.name, fault.name)]
    words += ["--text", fault.text] if fault.text else []
    words += ["--tools", "1"] if "tool-calls" in fault.needs else []
    return " ".join(quote(word) for word in words)


def _mock_command(flags: str = "") -> str:
    return f"streamgauge mock --port {PORT} {flags}".strip()


def _check_command(check: Check, address: str) -> str:
    url, _, more = address.partition(" ")
    words = ["streamgauge check", quote(url), more]
    if check.needs_mock or check.group in _STEERED:
        words.append(f"--mock {_MOCK}")
    if OptIn.SECOND_KEY in check.opt_ins:
        words = ["SECOND_KEY=second", *words, "--header 'Authorization: Bearer first' --second-key SECOND_KEY"]
    words += [opt_in.value for opt_in in check.opt_ins if opt_in is not OptIn.SECOND_KEY]
    return " ".join(word for word in [*words, "--only", check.id] if word)
