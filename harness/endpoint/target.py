"""The endpoint under test: its address and settings, and the request that asks it for a stream."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

import msgspec

from streamgauge.endpoint.promise import NOTHING, Promise
from streamgauge.endpoint.prompt_places import (
    LIMIT_NAMES,
    PLACEHOLDER,
    fill_body,
    fill_url,
    prompt_parameter,
    put_limit,
    put_messages,
    with_query,
)
from streamgauge.endpoint.request_spec import RequestSpec
from streamgauge.errors import UsageError
from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.base import AUTHORIZATION, Dialect, RequestTemplate
from streamgauge.protocol.dialects.by_pointer import StreamTable
from streamgauge.protocol.dialects.signalr import HubTable, SignalR
from streamgauge.protocol.encoding import SUPPORTED
from streamgauge.protocol.outcome import Ends
from streamgauge.secrets import hide, mask_body, mask_headers, mask_url
from streamgauge.units import SECOND, parse_duration
from streamgauge.version import __version__

DEFAULT_PROMPT: Final = "Write a short paragraph about rivers."
ENDS_A_HEADER: Final = re.compile(r"[\r\n\0]")
_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})
_BASE_HEADERS: Final = {
    "Accept": "text/event-stream",
    "Accept-Encoding": "identity",
    "User-Agent": f"streamgauge/{__version__}",
}
_HUB_HEADERS: Final = {"Content-Type": "text/plain;charset=UTF-8"}  # as SignalR's own clients label a message


class _Filled(NamedTuple):
    """URL, body and the dialect's own headers with the prompt put in; `has_prompt` is False without a place for it."""

    url: str
    body: str | None
    headers: Mapping[str, str]
    has_prompt: bool


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An endpoint and how to ask it for a stream. The fields are also the keys of a target file (TOML).

    `dialect` decides how to ask and how to read. `stream` describes how to read an answer of no known dialect.
    `signalr` names the method of a SignalR hub; `stream` then describes the items of its stream.
    `answers_in` only decides how to read: a run sets it when its first good stream has settled the dialect.
    """

    url: str
    method: str | None = None
    headers: dict[str, str] = {}
    body: str | None = None
    dialect: str = dialects.AUTO
    answers_in: str | None = None
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
    content_timeout: str | None = None
    end: str = Ends.AUTO.value
    stream: StreamTable | None = None
    signalr: HubTable | None = None
    promise: Promise = NOTHING
    state_url: str | None = None

    def __repr__(self) -> str:
        """The URL and the fields that are not at their default; secrets are masked."""
        plain = msgspec.structs.asdict(type(self)(url=""))
        shown = msgspec.structs.asdict(self) | {
            "url": self.masked_url,
            "headers": mask_headers(self.headers),
            "body": self.body and mask_body(self.body),
        }
        given = [f"{name}={value!r}" for name, value in shown.items() if value != plain[name]]
        return hide(f"{type(self).__name__}({', '.join(given)})")

    def named_dialect(self) -> Dialect | None:
        """The dialect that the user named; None for `auto`. Raises UsageError on an unknown name."""
        return None if self.dialect == dialects.AUTO else dialects.by_name(self.dialect)

    def reader(self) -> Dialect | None:
        """The dialect in which to read an answer: described or named by the user, or settled by the run.

        None: the stream decides it. Raises UsageError on an unknown name.
        """
        described = None if self.stream is None else self.stream.dialect()
        if self.signalr is not None:
            return SignalR(described)
        if described is not None:
            return described
        return self.named_dialect() or (None if self.answers_in is None else dialects.by_key(self.answers_in))

    def answering_in(self, dialect: Dialect | None) -> Self:
        """The target whose later streams are read in this dialect: a run settles it once. None leaves it open."""
        if dialect is None or self.stream or self.signalr or self.named_dialect() is not None:
            return self
        return msgspec.structs.replace(self, answers_in=dialects.key_of(dialect))

    @property
    def masked_url(self) -> str:
        return hide(mask_url(self.url))

    @property
    def timeout_s(self) -> float:
        """The longest silence before the harness gives up, in seconds. Raises UsageError on a malformed duration."""
        return parse_duration(self.timeout, "--timeout") / SECOND

    @property
    def content_timeout_s(self) -> float:
        """The longest time without content, in seconds: the same as `timeout_s` unless the user gave another."""
        if self.content_timeout is None:
            return self.timeout_s
        return parse_duration(self.content_timeout, "--content-timeout") / SECOND

    @property
    def is_its_mock(self) -> bool:
        """Whether the endpoint is the mock itself, so that there is nothing between them."""
        return self.mock is not None and self.unix_socket is None and same_server(self.mock, self.url)

    @property
    def settled(self) -> bool:
        """Whether the fields determine the method and the place of the prompt, so that no alternative must be tried."""
        named = self.method or self.body or self.signalr or self._request_dialect()
        return bool(named) or prompt_parameter(self.url) is not None

    @property
    def takes_limit(self) -> bool:
        """Whether the request has a field for the answer's length."""
        try:
            return self.request(max_tokens=1).body != self.request(max_tokens=2).body
        except UsageError:
            return False

    @property
    def key_header(self) -> str:
        """The header in which the endpoint expects its key."""
        dialect = self._request_dialect()
        return AUTHORIZATION if dialect is None else dialect.key_header

    def alternatives(self) -> "list[Target]":
        """The requests to try with this endpoint, the likeliest first; only one when the target is settled."""
        if self.settled:
            return [self]
        return [
            msgspec.structs.replace(self, method="POST", body=json.dumps({"message": PLACEHOLDER})),
            msgspec.structs.replace(self, method="GET", url=with_query(self.url, {"message": PLACEHOLDER})),
            *(
                msgspec.structs.replace(self, method="POST", body=self._guessed_body(dialect))
                for dialect in dialects.DIALECTS
                if (path := dialect.path or dialect.usual_path) and urlsplit(self.url).path.endswith(path)
            ),
        ]

    def as_spoken(self, dialect: Dialect | None) -> "Target":
        """The target with its recognised dialect, when its body is the one that `alternatives` guessed for it."""
        if dialect is None or self.body is None or self.body != self._guessed_body(dialect):
            return self
        return msgspec.structs.replace(self, dialect=dialect.name, body=None)

    def request(
        self,
        prompt: str | None = None,
        *,
        headers: Mapping[str, str | None] | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        max_tokens: int | None = None,
    ) -> RequestSpec:
        """The request for `prompt`; a header of `headers` is added, replaced or (None) removed.

        `messages` replace the prompt, `max_tokens` replaces the target's own limit. Raises UsageError when the request
        has no place for one of them. With a mock a limit needs no place: the directive carries the length.
        """
        text = self.prompt if prompt is None else prompt
        filled = self._fill(text, max_tokens)
        body = filled.body if messages is None else put_messages(filled.body, messages)
        if max_tokens is not None:
            body = self._limited(body, max_tokens)
        return RequestSpec(
            self.method or ("GET" if body is None else "POST"),
            filled.url,
            self._headers(filled.headers, headers or {}, has_body=body is not None),
            None if body is None else body.encode(),
            prompt=text if filled.has_prompt else None,
            curl_options=self._curl_options(),
        )

    def _fill(self, prompt: str, max_tokens: int | None) -> _Filled:
        """Put the prompt at the user's placeholder, else into the user's body or query, else where the dialect has it.

        A dialect that was recognised only by the path adds its headers, and its query if its own request has a body.
        """
        if self.signalr is not None:
            invocation = self.signalr.invocation()
            body = fill_body(invocation, prompt)
            return _Filled(self.url, body or invocation, _HUB_HEADERS, has_prompt=body is not None)
        dialect = self._request_dialect()
        template = RequestTemplate("", None, {}) if dialect is None else self._template(dialect, prompt, max_tokens)
        if (url := fill_url(self.url, prompt)) is not None:
            return _Filled(url, self.body, template.headers, has_prompt=True)
        if self.body is not None:
            url = with_query(self.url, {} if template.body is None else template.query)
            body = fill_body(self.body, prompt)
            return _Filled(url, self.body if body is None else body, template.headers, has_prompt=body is not None)
        name = prompt_parameter(self.url)
        if name is not None and template.method != "POST":
            url = with_query(self.url, {name: prompt} if name else {})
            return _Filled(url, None, template.headers, has_prompt=bool(name))
        if dialect is None:
            return _Filled(self.url, None, template.headers, has_prompt=False)
        return self._fill_template(template, prompt)

    def _fill_template(self, template: RequestTemplate, prompt: str) -> _Filled:
        if self.method == "GET" and template.body is not None:
            return _Filled(with_query(self.url, {"message": prompt}), None, template.headers, has_prompt=True)
        body = None if template.body is None else json.dumps(template.body, ensure_ascii=False)
        return _Filled(with_query(self.url, template.query), body, template.headers, has_prompt=True)

    def _limited(self, body: str | None, max_tokens: int) -> str | None:
        limited = put_limit(body, max_tokens)
        if limited is None and self.mock is None:
            raise UsageError(
                "the request has no field for the answer's length",
                f"drop --output-tokens, or give --body FILE with one of {', '.join(LIMIT_NAMES)}",
            )
        return body if limited is None else limited

    def _headers(
        self, of_dialect: Mapping[str, str], changes: Mapping[str, str | None], *, has_body: bool
    ) -> dict[str, str]:
        """The headers, later sources over earlier ones, names compared without case: ours, dialect, target, caller."""
        merged = dict(_BASE_HEADERS)
        if self.compressed:
            merged["Accept-Encoding"] = ", ".join(SUPPORTED)
        if has_body:
            merged["Content-Type"] = "application/json"
        for source in (of_dialect, self.headers, changes):
            for name, value in source.items():
                for same in [key for key in merged if key.lower() == name.lower()]:
                    del merged[same]
                if value is not None:
                    merged[name] = value
        return merged

    def _curl_options(self) -> tuple[str, ...]:
        """The options that make curl connect as this target does."""
        options = []
        if self.http2:
            options.append("--http2" if self.url.startswith("https") else "--http2-prior-knowledge")
        for name, value in (("--cacert", self.ca), ("--cert", self.cert), ("--unix-socket", self.unix_socket)):
            options += [name, value] if value else []
        return (*options, *(["--insecure"] if self.insecure else []), *(["--compressed"] if self.compressed else []))

    def _request_dialect(self) -> Dialect | None:
        """The dialect to write the request in: the one that the user named, else the one that the URL's path tells."""
        return self.named_dialect() or dialects.at_path(urlsplit(self.url).path)

    def _template(self, dialect: Dialect, prompt: str, max_tokens: int | None = None) -> RequestTemplate:
        limit = max_tokens if max_tokens is not None else self.max_tokens
        return dialect.ask(prompt, self.model or dialect.model, limit)

    def _guessed_body(self, dialect: Dialect) -> str:
        return json.dumps(self._template(dialect, PLACEHOLDER).body)


def same_server(one: str, other: str) -> bool:
    """Whether two URLs have the same host and port. The names of this machine are one host."""
    return _server(one) == _server(other)


def _server(url: str) -> tuple[str | None, int]:
    parts = urlsplit(url)
    host = "localhost" if parts.hostname in _THIS_MACHINE else parts.hostname
    return host, parts.port or (443 if parts.scheme == "https" else 80)


AnyTarget = TypeVar("AnyTarget", bound=Target)
_DIRECTIVE: Final = "[[mock "


def directive(**keys: str | int | None) -> str:
    """The text that the mock obeys wherever it finds it in a prompt: `[[mock id=ab12 tokens=40]]`."""
    return _DIRECTIVE + " ".join(f"{key}={value}" for key, value in keys.items() if value is not None) + "]]"


def with_directive(text: str, **keys: str | int | None) -> str:
    """The prompt with these keys for the mock. A directive that the user wrote into it gets them, and keeps its own.

    The mock obeys only the last directive of a prompt: one behind the user's would undo it. One that has an id already
    is an earlier request's.
    """
    before, opened, own = text.rpartition(_DIRECTIVE)
    if not opened or "]]" not in own or "id=" in own:
        return f"{text} {directive(**keys)}"
    added = {key: value for key, value in keys.items() if f"{key}=" not in own}
    return f"{before}{directive(**added).removesuffix(']]')} {own}"
