"""The endpoint under test: how to address it, ask it for a stream, and put a prompt where it will find it."""

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec

from streamgauge.errors import UsageError
from streamgauge.files import read_file
from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import AUTHORIZATION, Dialect, RequestTemplate
from streamgauge.protocol.encoding import SUPPORTED
from streamgauge.secrets import is_secret, mask_headers, mask_url
from streamgauge.transport.tls import tls_context
from streamgauge.units import SECOND, parse_duration
from streamgauge.untrusted_text import UNSAFE_CHARACTERS
from streamgauge.version import __version__

PLACEHOLDER: Final = "{{prompt}}"
DEFAULT_PROMPT: Final = "Write a short paragraph about rivers."
LIMIT_NAMES: Final = (
    "max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "maxOutputTokens", "num_predict",
)  # fmt: skip
PROMPT_NAMES: Final = ("message", "prompt", "input", "query", "question", "text", "q")

ENDS_A_HEADER: Final = re.compile(r"[\r\n\0]")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BASE_HEADERS: Final = {
    "Accept": "text/event-stream",
    "Accept-Encoding": "identity",
    "User-Agent": f"streamgauge/{__version__}",
}


def _quoted(word: str) -> str:
    """A word of a shell's command line. What would act on a terminal is written as its bytes, as bash and zsh read."""
    if not UNSAFE_CHARACTERS.search(word):
        return shlex.quote(word)
    plain = word.replace("\\", r"\\").replace("'", r"\'")
    return f"$'{UNSAFE_CHARACTERS.sub(_as_bytes, plain)}'"


def _as_bytes(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode("utf-8", "surrogatepass"))


class RequestSpec(NamedTuple):
    """One request, complete. `prompt` is None where the request has no place for one."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    http_version: str = "1.1"
    prompt: str | None = None
    curl_options: tuple[str, ...] = ()

    @property
    def masked_url(self) -> str:
        return mask_url(self.url)

    def curl(self) -> str:
        """A command line that repeats this request, secrets masked."""
        words = ["curl", "-sN", *self.curl_options]
        if self.http_version == "1.0":
            words.append("--http1.0")
        if self.method == "HEAD":
            words.append("--head")
        elif self.method != ("GET" if self.body is None else "POST"):
            words += ["-X", self.method]
        for name, value in mask_headers(self.headers).items():
            if name.lower() != "user-agent":
                words += ["-H", f"{name}: {value}"]
        if self.body is not None:
            words += ["--data-raw", self.body.decode("utf-8", "replace")]
        words.append(self.masked_url)
        return " ".join(map(_quoted, words))


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An endpoint and how it is asked. The fields are also the keys of a target file (TOML)."""

    url: str
    method: str | None = None
    headers: dict[str, str] = {}
    body: str | None = None
    dialect: str = dialects.AUTO
    model: str | None = None
    max_tokens: int | None = None
    prompt: str = DEFAULT_PROMPT
    api_key_env: str | None = None
    mock: str | None = None
    insecure: bool = False
    ca: str | None = None
    cert: str | None = None
    http2: bool = False
    unix_socket: str | None = None
    compressed: bool = False
    timeout: str = "60s"

    def reader(self) -> Dialect | None:
        """The dialect asked for, or None to detect it. Raises UsageError on an unknown name."""
        return None if self.dialect == dialects.AUTO else dialects.by_name(self.dialect)

    @property
    def masked_url(self) -> str:
        return mask_url(self.url)

    @property
    def timeout_s(self) -> float:
        """How long silence is borne, in seconds. Raises UsageError when it is no duration."""
        return parse_duration(self.timeout, "--timeout") / SECOND

    @property
    def settled(self) -> bool:
        """Whether method and place of the prompt follow from what was given, without asking the endpoint."""
        told = self.method or self.body or self._spoken()
        return bool(told) or _query_place(self.url) is not None

    @property
    def takes_limit(self) -> bool:
        """Whether its requests have a place for the answer's length."""
        try:
            return self.request(max_tokens=1).body != self.request(max_tokens=2).body
        except UsageError:
            return False

    def alternatives(self) -> "list[Target]":
        """The ways in which this endpoint may want to be asked, likeliest first; only one when it is settled."""
        if self.settled:
            return [self]
        return [
            msgspec.structs.replace(self, method="POST", body=json.dumps({"message": PLACEHOLDER})),
            msgspec.structs.replace(self, method="GET", url=_with_query(self.url, {"message": PLACEHOLDER})),
            *(
                msgspec.structs.replace(self, method="POST", body=json.dumps(self._ask(dialect, PLACEHOLDER).body))
                for dialect in dialects.DIALECTS
                if dialect.path and urlsplit(self.url).path.endswith(dialect.path)
            ),
        ]

    def as_spoken(self, dialect: Dialect | None) -> "Target":
        """The same, asked by a dialect that was recognised, where its body is only a guess at that dialect's."""
        if dialect is None or self.body is None or self.body != json.dumps(self._ask(dialect, PLACEHOLDER).body):
            return self
        return msgspec.structs.replace(self, dialect=dialect.name, body=None)

    def request(
        self,
        prompt: str | None = None,
        *,
        headers: Mapping[str, str | None] | None = None,
        method: str | None = None,
        body: bytes | None = None,
        http_version: str = "1.1",
        messages: Sequence[Mapping[str, Any]] | None = None,
        max_tokens: int | None = None,
    ) -> RequestSpec:
        """The request for `prompt`. `headers` adds, replaces or (None) removes; `method` and `body` override.

        `messages` go in the place of the prompt, and `max_tokens` in that of the target's own. Raises UsageError when
        the request has no place for one of them, but for a length that a mock upstream is told by directive.
        """
        text = self.prompt if prompt is None else prompt
        url, own_body, own_headers, placed = self._place(text, max_tokens)
        if messages is not None or max_tokens is not None:
            own_body = _fitted(own_body, messages, max_tokens, told_otherwise=self.mock is not None)
        asked = method or self.method or ("GET" if own_body is None else "POST")
        content = body if body is not None else (own_body.encode() if own_body is not None else None)
        merged: dict[str, str] = dict(_BASE_HEADERS)
        if self.compressed:
            merged["Accept-Encoding"] = ", ".join(SUPPORTED)
        if content is not None:
            merged["Content-Type"] = "application/json"
        for extra in (own_headers, self.headers, headers or {}):
            for name, value in extra.items():
                for known in [key for key in merged if key.lower() == name.lower()]:
                    del merged[known]
                if value is not None:
                    merged[name] = value
        return RequestSpec(
            asked, url, merged, content, http_version, text if placed else None, self._curl_options(http_version)
        )

    def _curl_options(self, http_version: str) -> tuple[str, ...]:
        """How curl is told to connect as this target is."""
        options = []
        if self.http2 and http_version != "1.0":
            options.append("--http2" if self.url.startswith("https") else "--http2-prior-knowledge")
        for name, value in (("--cacert", self.ca), ("--cert", self.cert), ("--unix-socket", self.unix_socket)):
            options += [name, value] if value else []
        return (*options, *(["--insecure"] if self.insecure else []), *(["--compressed"] if self.compressed else []))

    def _place(self, prompt: str, max_tokens: int | None) -> tuple[str, str | None, Mapping[str, str], bool]:
        """URL, body and headers with the prompt put in, and whether there was a place for it."""
        dialect = self._spoken()
        ask = RequestTemplate("", None, {}) if dialect is None else self._ask(dialect, prompt, max_tokens)
        headers = ask.headers
        if PLACEHOLDER in self.url or quote(PLACEHOLDER) in self.url:
            filled = quote(prompt, safe="")
            return self.url.replace(quote(PLACEHOLDER), filled).replace(PLACEHOLDER, filled), self.body, headers, True
        if self.body is not None:
            body, placed = _fill_body(self.body, prompt)
            return _with_query(self.url, {} if ask.body is None else ask.query), body, headers, placed
        place = _query_place(self.url)
        if place is not None and ask.method != "POST":
            return _with_query(self.url, {place: prompt} if place else {}), None, headers, bool(place)
        if dialect is None:
            return self.url, None, headers, False
        if self.method == "GET" and ask.body is not None:
            ask = RequestTemplate("GET", None, {"message": prompt})
        body_text = None if ask.body is None else json.dumps(ask.body, ensure_ascii=False)
        return _with_query(self.url, ask.query), body_text, headers, True

    def _spoken(self) -> Dialect | None:
        """The dialect to ask in: the one named, else the one that the path tells."""
        return self.reader() or dialects.at_path(urlsplit(self.url).path)

    def _ask(self, dialect: Dialect, prompt: str, max_tokens: int | None = None) -> RequestTemplate:
        limit = max_tokens if max_tokens is not None else self.max_tokens
        return dialect.ask(prompt, self.model or dialect.model, limit)

    @property
    def key_header(self) -> str:
        """The header in which the endpoint expects its key."""
        dialect = self._spoken()
        return AUTHORIZATION if dialect is None else dialect.key_header


AnyTarget = TypeVar("AnyTarget", bound=Target)


def directive(**keys: str | int | None) -> str:
    """The text that the mock obeys wherever it finds it in a prompt: `[[mock id=ab12 tokens=40]]`."""
    return "[[mock " + " ".join(f"{key}={value}" for key, value in keys.items() if value is not None) + "]]"


def load_target(path: Path) -> Target:
    """A target file. Raises UsageError that says what is wrong with it and what it may hold."""
    known = ", ".join(field.name for field in msgspec.structs.fields(Target))
    try:
        target = msgspec.toml.decode(read_file(path), type=Target)
    except OSError as error:
        raise UsageError(f"target file {path} cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"target file {path} is not usable: {error}", f"it is TOML with the keys: {known}") from None
    return target


def at_its_path(target: AnyTarget) -> AnyTarget:
    """A target whose URL names only a host, at the path where the vendor serves its dialect; others as they are."""
    dialect, parts = target.reader(), urlsplit(target.url)
    if dialect is None or dialect.path is None or parts.path not in ("", "/"):
        return target
    path = dialect.path.replace("{model}", quote(target.model or dialect.model, safe=""))
    return msgspec.structs.replace(target, url=urlunsplit(parts._replace(path=path)))


def ready(target: AnyTarget) -> AnyTarget:
    """The target as it is asked: its whole URL, and its key. Raises UsageError on whatever of it cannot be used."""
    mock = check_url(target.mock).rstrip("/") if target.mock else None
    whole = with_key(at_its_path(msgspec.structs.replace(target, url=check_url(target.url), mock=mock)))
    if whole.ca or whole.cert:
        tls_context(insecure=whole.insecure, ca=whole.ca, cert=whole.cert, http2=whole.http2)
    if whole.timeout_s <= 0:
        raise UsageError("--timeout must be more than 0", "write for example 30s")
    _check_fields(whole)
    return whole


def _check_fields(target: Target) -> None:
    """Refuse what would not stay in its place in a request head. No value is quoted: it may be a secret."""
    if target.method and not _TOKEN.fullmatch(target.method):
        raise UsageError(f"--method {target.method!r} is no HTTP method", "write for example POST")
    for name, value in target.headers.items():
        if not _TOKEN.fullmatch(name):
            raise UsageError(f"{name!r} is not the name of a header", "letters, digits and - are")
        if ENDS_A_HEADER.search(value):
            raise UsageError(f"the value of the header {name} holds a line break or NUL", "take it out")


def with_key(target: AnyTarget) -> AnyTarget:
    """The target with the key from this machine's environment. Raises UsageError when the variable is not set."""
    if not target.api_key_env:
        return target
    key = os.environ.get(target.api_key_env)
    if not key:
        raise UsageError(
            f"the environment variable {target.api_key_env} is not set", "export it, or drop --api-key-env"
        )
    check_key(key, target.api_key_env)
    name = target.key_header
    return msgspec.structs.replace(
        target, headers={**target.headers, name: f"Bearer {key}" if name == AUTHORIZATION else key}
    )


def check_key(key: str, variable: str) -> None:
    """Raises UsageError on a key that would not stay in its header, without quoting it."""
    if ENDS_A_HEADER.search(key):
        raise UsageError(
            f"the environment variable {variable} holds a line break or NUL, which no header can hold",
            "it is often the last character: fill it with printf %s in place of echo, or from a file without one",
        )


def without_key(target: Target) -> Target:
    """The target as it may leave this machine. Raises UsageError on a secret that is not named by --api-key-env."""
    headers = dict(target.headers)
    if target.api_key_env:
        headers.pop(target.key_header, None)
    if secret := next((name for name in headers if is_secret(name)), None):
        raise UsageError(
            f"the header {secret} looks like a secret, and workers are sent no secrets",
            "name the variable that holds the key with --api-key-env: each worker takes it from its own environment",
        )
    parts = urlsplit(target.url)
    if parts.username or any(is_secret(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise UsageError("the URL holds a secret, and workers are sent no secrets", "use --api-key-env instead")
    return msgspec.structs.replace(target, headers=headers)


def check_url(url: str) -> str:
    """The URL, with http:// added where the scheme is missing. Raises UsageError on what cannot be requested."""
    full = url if _SCHEME.match(url) else f"http://{url}"
    parts = urlsplit("")
    try:
        parts = urlsplit(full)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or any(character.isspace() for character in full):
        raise UsageError(f"{url!r} is not a URL that can be requested", "write for example http://localhost:8080/chat")
    return full if parts.path else urlunsplit(parts._replace(path="/"))


def _query_place(url: str) -> str | None:
    """The query parameter that carries the prompt; empty when there is a query without one, None without a query."""
    names = [name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)]
    if not names:
        return None
    return next((name for name in names if name.lower() in PROMPT_NAMES), "")


def _with_query(url: str, changes: Mapping[str, str]) -> str:
    if not changes:
        return url
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in changes]
    return urlunsplit(parts._replace(query=urlencode([*kept, *changes.items()], quote_via=quote)))


def _fill_body(template: str, prompt: str) -> tuple[str, bool]:
    """Put the prompt at the placeholder, else where a chat or application body usually has it."""
    if PLACEHOLDER in template:
        return template.replace(PLACEHOLDER, json.dumps(prompt, ensure_ascii=False)[1:-1]), True
    try:
        body: Any = json.loads(template)
    except ValueError:
        return template, False
    if not isinstance(body, dict):
        return template, False
    # Chat and Messages, Responses, Gemini: a list of turns, whose text is a string or a list of parts.
    for turns, key, text in (("messages", "content", prompt), ("input", "content", prompt),
                             ("contents", "parts", [{"text": prompt}])):  # fmt: skip
        for turn in reversed(body[turns]) if isinstance(body.get(turns), list) else ():
            if isinstance(turn, dict) and turn.get("role") == "user":
                turn[key] = text
                return json.dumps(body, ensure_ascii=False), True
    for name in PROMPT_NAMES:
        if isinstance(body.get(name), str):
            body[name] = prompt
            return json.dumps(body, ensure_ascii=False), True
    return template, False


def _fitted(
    body: str | None, messages: Sequence[Mapping[str, Any]] | None, max_tokens: int | None, *, told_otherwise: bool
) -> str | None:
    """The body with these messages, and the answer's length where it says one or where chat endpoints take it."""
    try:
        given: Any = json.loads(body) if body else None
    except ValueError:
        given = None
    fields = given if isinstance(given, dict) else {}
    takes_messages = isinstance(fields.get("messages"), list)
    if messages is not None:
        if not takes_messages:
            raise UsageError(
                "the prompts are messages, but the request has no list of messages to put them in",
                "give prompts that are text, or --body FILE that has messages",
            )
        fields["messages"] = list(messages)
    if max_tokens is not None:
        # Gemini and Ollama have it one level down.
        inner = [fields.get(name) for name in ("generationConfig", "options")]
        limits = [
            (each, name) for each in (fields, *inner) if isinstance(each, dict) for name in LIMIT_NAMES if name in each
        ]
        if takes_messages and not limits:
            limits = [(fields, LIMIT_NAMES[0])]
        for each, name in limits:
            each[name] = max_tokens
        if not limits and not told_otherwise:
            raise UsageError(
                "the request has no field for the answer's length",
                f"drop --output-tokens, or give --body FILE with one of {', '.join(LIMIT_NAMES)}",
            )
    return json.dumps(fields, ensure_ascii=False) if fields else body
