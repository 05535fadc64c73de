"""The systems, and what is known to be wrong with each: looked at one by one, with the source of each at hand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

PROGRAMS: Final = Path(__file__).resolve().parent / "programs"


class Engine(NamedTuple):
    """What is known of a system that makes its tokens itself, in place of a relay in front of the mock.

    `slots` requests run at once, and the others wait. `options` are those of the client.
    """

    slots: int
    options: tuple[str, ...] = ()


class System(NamedTuple):
    """One endpoint of one program.

    `command` may name {port}, {upstream}, {python} (the folder of the environment's programs) and {programs}.
    `defects` are the MUSTs that it does not meet; `perhaps` those that depend on when the client leaves, and no other
    may be named. `warned` are those of WATCHED that it does not meet. `serial` says that it serves one request at a
    time.
    """

    name: str
    needs: str  # an entry of PACKAGES
    command: tuple[str, ...]
    path: str
    dialect: str
    defects: frozenset[str]
    perhaps: frozenset[str] = frozenset()
    warned: frozenset[str] = frozenset()
    serial: bool = False
    environment: Mapping[str, str] = {}
    engine: Engine | None = None


PACKAGES: Final = {
    "fastapi": ("pip", "fastapi", "uvicorn", "httpx", "openai"),
    "flask": ("pip", "flask", "gunicorn", "openai"),
    "litellm": ("pip", "litellm[proxy]"),
    "express": ("npm", "express", "compression"),
    "hono": ("npm", "hono", "@hono/node-server", "openai"),
    "llama": ("pip", "xllamacpp==2026.10.11549", "gguf==0.19.0"),
    "ai": ("npm", "ai", "@ai-sdk/openai-compatible"),
}

_UVICORN: Final = ("{python}/uvicorn", "relays_fastapi:app", "--port", "{port}", "--log-level", "error")
_GUNICORN: Final = ("{python}/gunicorn", "-b", "127.0.0.1:{port}", "--log-level", "error")
CHAT: Final = "/v1/chat/completions"

WATCHED: Final = frozenset({"http.announces-close"})
"""SHOULDs whose findings are certain, so that no system may be accused without reason."""

CUT: Final = "termination.truncation-distinguishable"
# A relay that builds its own chunks with an SDK forgets the same things.
_OWN_CHUNKS: Final = frozenset({"openai-chat.error-shape", "openai-chat.stream-flag-honoured", CUT})

# FastAPI has sent its status when the upstream refuses; a plain generator learns late that its reader has left.
_IN_A_THREAD: Final = frozenset({"errors.pre-stream-status", "cancel.before-first-token"})
# An exception of the SDK becomes a 500, whatever the upstream said.
_STATUS_LOST: Final = frozenset({"errors.caller-fault-kept", "errors.rate-limit-kept"})
# The handler awaits the upstream's head before it answers, and watches for the client only from then on.
_AWAITS_THE_HEAD: Final = frozenset({"cancel.before-first-token"})
_LEAVES_LATE: Final = frozenset({"cancel.upstream-aborted"})

SYSTEMS: Final = (
    System("FastAPI, bytes passed on", "fastapi", _UVICORN, f"/async{CHAT}", "openai-chat", _AWAITS_THE_HEAD),
    System(
        "FastAPI, a generator in a thread", "fastapi", _UVICORN, f"/sync{CHAT}", "openai-chat",
        _OWN_CHUNKS | _IN_A_THREAD,
        perhaps=_LEAVES_LATE,
    ),
    System(
        "FastAPI, a client that blocks the loop", "fastapi", _UVICORN, f"/blocking{CHAT}", "openai-chat",
        _OWN_CHUNKS | {"errors.pre-stream-status", "cancel.upstream-aborted"},
        serial=True,
    ),
    System(
        "FastAPI, a task and a queue", "fastapi", _UVICORN, f"/queue{CHAT}", "openai-chat",
        _OWN_CHUNKS | _IN_A_THREAD | _LEAVES_LATE | {"errors.mid-stream-event"},
    ),
    System(
        "FastAPI, the shape of LangGraph", "fastapi", _UVICORN, "/graph/runs/stream", "langgraph",
        _STATUS_LOST | _AWAITS_THE_HEAD | {CUT},
    ),
    System(
        "Flask under gunicorn, sync worker", "flask", (*_GUNICORN, "relay_flask:app"), CHAT, "openai-chat",
        _OWN_CHUNKS | _STATUS_LOST | {"cancel.before-first-token"},
        perhaps=_LEAVES_LATE,
        serial=True,
    ),
    System(
        "Flask under gunicorn, threads", "flask", (*_GUNICORN, "--threads", "16", "relay_flask:app"), CHAT,
        "openai-chat",
        _OWN_CHUNKS | _STATUS_LOST | {"cancel.before-first-token"},
        perhaps=_LEAVES_LATE,
    ),
    System(
        "Express", "express", ("node", "express.mjs"), CHAT, "openai-chat",
        frozenset({"openai-chat.error-shape", "security.no-stack-trace"}),
    ),
    System(
        "Express with compression", "express", ("node", "express.mjs"), f"/compressed{CHAT}", "openai-chat",
        frozenset({"openai-chat.error-shape", "security.no-stack-trace", "flush.compression-flushes"}),
    ),
    System(
        "Hono with OpenAI's SDK", "hono", ("node", "hono.mjs"), CHAT, "openai-chat",
        _OWN_CHUNKS | _STATUS_LOST | _AWAITS_THE_HEAD | {"http.bad-json-400", "errors.mid-stream-event"},
    ),
    System("Vercel AI SDK", "ai", ("node", "ai_sdk.mjs"), "/", "ai-sdk-ui", frozenset({CUT})),
    System(
        "LiteLLM", "litellm",
        ("{python}/litellm", "--config", "litellm.yaml", "--port", "{port}", "--host", "127.0.0.1"),
        CHAT, "openai-chat", _AWAITS_THE_HEAD | {CUT},
        environment={"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"},
    ),
    System(
        "llama.cpp", "llama", ("{python}/python", "llama_cpp.py", "{port}", "4"), CHAT, "openai-chat",
        frozenset({"http.validation-before-stream", "security.cors-no-wildcard-credentials"}),
        # A client that uses the connection again at once loses that request.
        warned=WATCHED,
        engine=Engine(4, ("--header", "Connection: close")),
    ),
)  # fmt: skip
