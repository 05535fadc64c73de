"""What to change in the command when no stream came: read from the status and the words of the answer. Pure."""

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from streamgauge.leaks import beginning
from streamgauge.protocol.dialects import DIALECTS
from streamgauge.protocol.scattered import hidden_part
from streamgauge.secrets import mask_url
from streamgauge.wire import Head

MOST_CHARS: Final = 200
SEARCHED_CHARS: Final = 2_000
_AUTH_WORDS: Final = re.compile(
    r"api.?key|unauthori[sz]ed|not authori[sz]ed|authentication|credential|bearer|access token|invalid token",
    re.IGNORECASE,
)
_MODEL: Final = re.compile(
    r"\bmodels?\b.{0,80}\b"
    r"(?:not (?:found|exist|supported|available|valid)|does(?:n.t| not) exist|unknown|invalid|required|missing|pull)"
    r"|\b(?:unknown|invalid|unsupported|missing|no such|provide|specify|specified|required|access to|allowed to use)\b"
    r".{0,40}\bmodel",
    re.IGNORECASE | re.DOTALL,
)
_HEADER: Final = re.compile(
    r"(?:missing|required|requires?|expected|needs?|provide|set|send)\b[^.]{0,40}?[\"'`]?\b((?:[A-Za-z]+-)+[A-Za-z]+)\b[\"'`]?"
    r"[^.]{0,20}\bheader\b|\bheader\b[:\s]*[\"'`]?((?:[A-Za-z]+-)+[A-Za-z]+|[Aa]uthorization)\b|"
    r"[\"'`]?\b((?:[A-Za-z]+-)+[A-Za-z]+)\b[\"'`]?:?(?: request)? header",
    re.IGNORECASE,
)
_FIELD: Final = re.compile(
    r"(?:missing|required|expected)\s+(?:\w+\s+){0,3}?(?:field|parameter|property|key|argument)s?[:\s]*[\"'`]?(\w+)[\"'`]?"
    r"|[\"'`](\w+)[\"'`]\s+(?:is|are)\s+(?:a\s+)?(?:required|missing)"
    r"|(?:field|parameter|property)\s+[\"'`]?(?!is\b)(\w+)[\"'`]?\s+(?:is\s+)?(?:required|missing)"
    r"|\b(\w+): field required"
    r"|\b(?!(?:the|this|a|each|every|one)\b)(\w+)[\"'`]?\s+(?:field|parameter|property)\s+is\s+(?:required|missing)",
    re.IGNORECASE,
)
_TOO_LONG: Final = re.compile(
    r"\bcontext[ _-]?(?:length|window|limit)|\btoo (?:long|large|big|many (?:input |prompt )?tokens)"
    r"|\btokens\b.{0,40}\bmust be <"
    r"|\bmax(?:imum)? .{0,20}\b(?:length|size)",
    re.IGNORECASE,
)
_MUST_STREAM: Final = re.compile(
    r"\bstream\b[\"'`]?.{0,20}\b(?:must|should|has to|needs? to)\b.{0,20}\b(?:true|set|enabled)"
    r"|\bstream(?:ing)?\b[\"'`]?.{0,10}\b(?:is )?(?:required|mandatory)|\bonly\b.{0,20}\bstream(?:ing|[\"'`]?\s*=)",
    re.IGNORECASE,
)
_SPENT: Final = re.compile(r"quota|billing|credits?\b|\bbalance\b|payment", re.IGNORECASE)
_NO_KEY_HELPS: Final = re.compile(
    r"csrf|xsrf|\byour ip\b|ip address|\bcountry\b|\bregion\b|blocked|firewall|cloudflare|captcha|\borigin\b|robot",
    re.IGNORECASE,
)
_WANTS_TLS: Final = re.compile(r"http request .{0,30}\bhttps\b", re.IGNORECASE)
_CREDENTIAL: Final = re.compile(
    rb"^(?:authorization|(?:x-)?[\w-]*(?:api|functions)-?key|x-auth[\w-]*):", re.IGNORECASE | re.MULTILINE
)
_TAG: Final = re.compile(r"<[^>]*>")
_LESS: Final = "it is too long for the endpoint: ask for less with --prompt, --max-tokens or --body FILE"
_UNDER: Final = ("error", "detail", "message", "title", "msg", "errors", "error_description", "description")


def hint_for(head: Head, body: bytes, url: str, request: bytes = b"") -> str:
    """The option that the answer asks for, after a quotation of the answer.

    `request` is the request as it went out, where that is known: a key that it carried was not missing.
    """
    said = message_of(body)[:SEARCHED_CHARS]
    quoted = f"the answer says: {beginning(said, MOST_CHARS)!r}" if said else _excerpt(body)
    words = said or " ".join(_TAG.sub(" ", body[:SEARCHED_CHARS].decode("utf-8", "replace")).split())
    has_key = _CREDENTIAL.search(request.partition(b"\r\n\r\n")[0]) is not None
    advice = "; ".join(dict.fromkeys(_advice(head, body, words, url, has_key=has_key)))
    return f"{quoted}; {advice}" if advice else quoted


def _advice(head: Head, body: bytes, said: str, url: str, *, has_key: bool) -> Iterator[str]:
    status = head.status
    wanted = list(_missing_places(body))
    yield from (advice for _, advice in wanted)
    header = _named(_HEADER, said)
    no_model = status >= 400 and _MODEL.search(said) is not None
    if _wants_key(status, said, no_model=no_model):
        named = f"--header '{header}: VALUE'" if header else "--header 'NAME: VALUE'"
        how = f"--api-key-env NAME_OF_ENV, or with {named}"
        yield (
            f"it does not accept the key that was sent: give another with {how}"
            if has_key
            else f"give the key with {how}"
        )
    elif header and status >= 400:
        yield f"give the header with --header '{header}: VALUE'"
    if no_model:
        yield "name a model that the endpoint has with --model NAME"
    elif status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY) and not wanted and not header:
        yield from _about_body(said)
    yield from _by_status(head, said, url)


def _wants_key(status: int, said: str, *, no_model: bool) -> bool:
    """Whether another key may help: a 401, an answer that speaks of one, or a 403 that names no other cause."""
    if status == HTTPStatus.UNAUTHORIZED or (status >= 400 and _AUTH_WORDS.search(said)):
        return True
    return status == HTTPStatus.FORBIDDEN and not no_model and not _NO_KEY_HELPS.search(said)


def _about_body(said: str) -> Iterator[str]:
    """What a refusal of the request itself asks for."""
    if _WANTS_TLS.search(said):
        yield "write https:// in the URL"
    elif field := _named(_FIELD, said):
        yield _lacking(repr(field))
    elif _MUST_STREAM.search(said):
        yield 'put "stream": true into the body with --body FILE, or name its shape with --dialect'
    elif _TOO_LONG.search(said):
        yield _LESS
    elif not _AUTH_WORDS.search(said):
        yield "write the body that the endpoint expects with --body FILE, or name its shape with --dialect"


def _by_status(head: Head, said: str, url: str) -> Iterator[str]:
    """What the status alone says."""
    status = head.status
    if 300 <= status < 400 and (elsewhere := head.get("location")):
        yield f"it redirects to {mask_url(elsewhere)[:500]!r}: is that the URL to measure?"
    elif status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        yield "say what the body is with --header 'Content-Type: TYPE'"
    elif status == HTTPStatus.NOT_ACCEPTABLE:
        yield "say what it may send with --header 'Accept: TYPE'"
    elif status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        yield _LESS
    elif status == HTTPStatus.UPGRADE_REQUIRED:
        yield _upgrade(head.get("upgrade") or "")
    elif status == HTTPStatus.PAYMENT_REQUIRED or (status == HTTPStatus.TOO_MANY_REQUESTS and _SPENT.search(said)):
        yield "the quota or the credit of this key's account is used up: waiting may not help"
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        after = head.get("retry-after") or ""
        when = f"in {after} s" if after.isdecimal() and len(after) < 10 else "later"
        yield f"its rate limit is used up: try again {when}"
    elif status >= 500:
        yield "the endpoint itself failed: its log says why"
    elif status == HTTPStatus.METHOD_NOT_ALLOWED or (status == HTTPStatus.NOT_FOUND and not _MODEL.search(said)):
        if paths := nearest_paths(url):
            yield f"is the path right? Try {' or '.join(paths)}"
        else:
            yield "is the path right?"
        if allowed := head.get("allow"):
            yield f"it allows {allowed[:60]}: name one with --method"
        elif status == HTTPStatus.METHOD_NOT_ALLOWED:
            yield "name the method that it takes with --method"
    elif _is_base(url) and status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        yield f"this is a base URL: try {' or '.join(nearest_paths(url))}"


def _upgrade(protocol: str) -> str:
    """What to do with an endpoint that wants another protocol: the value of its Upgrade header."""
    if "websocket" in protocol.lower():
        return "it speaks WebSocket at this URL: give the URL at which it streams over HTTP"
    if protocol.lower().startswith("tls"):
        return "write https:// in the URL"
    return "it wants another protocol: try --http2, or https:// in the URL"


def _named(pattern: re.Pattern[str], said: str) -> str | None:
    """The name that one of the pattern's groups caught."""
    found = pattern.search(said)
    return None if found is None else next((name for name in found.groups() if name), None)


def nearest_paths(url: str) -> list[str]:
    """The URLs of the streaming endpoints that this URL may have meant; empty when it already is one of them."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    known = [dialect.path for dialect in DIALECTS if dialect.path and "{" not in dialect.path]
    if any(path.endswith(one) for one in known):
        return []
    if not path:
        found = [one for one in known if one != "/runs/stream"]
    else:
        found = [path + one[len(own) :] for one in known for own in _beginnings(one) if path.endswith(own)]
        found = found or get_close_matches(path, known, n=2, cutoff=0.6)
    return [f"{parts.scheme}://{parts.netloc}{one}" for one in dict.fromkeys(found)][:4]


def _beginnings(path: str) -> Iterator[str]:
    """The proper beginnings of a path, the longest first: /v1/chat and /v1 of /v1/chat/completions."""
    while path.count("/") > 1:
        path = path.rpartition("/")[0]
        yield path


def _is_base(url: str) -> bool:
    return urlsplit(url).path.rstrip("/") in ("", "/v1", "/api", "/v2")


def _missing_places(body: bytes) -> Iterator[tuple[str, str]]:
    """The fields that a validator of FastAPI's kind lists, each with the option that fills or mends it."""
    value = _json(body)
    details = value.get("detail") if isinstance(value, dict) else None
    fields: dict[str, list[str]] = {}
    refused: list[str] = []
    for item in details if isinstance(details, list) else ():
        place = item.get("loc") if isinstance(item, dict) else None
        if isinstance(place, list) and len(place) > 1 and all(isinstance(part, (str, int)) for part in place):
            if "required" in str(item.get("msg")).lower() or "missing" in str(item.get("type")):
                fields.setdefault(str(place[0]), []).append(str(place[-1]))
            elif place[0] == "body" and isinstance(place[-1], str):
                refused.append(place[-1])
    for name in fields.get("header", ()):
        yield name, f"give the header with --header '{name}: VALUE'"
    for name in fields.get("query", ()):
        yield name, f"give the parameter {name!r} in the URL, with {{{{prompt}}}} as its value where the prompt belongs"
    if refused:
        listed = ", ".join(repr(name) for name in refused)
        yield listed, f"it does not accept {listed} as the body has it: write the body that it expects with --body FILE"
    if named := fields.get("body"):
        listed = ", ".join(repr(name) for name in named)
        yield listed, _lacking(listed)


def _lacking(names: str) -> str:
    if names == repr("model"):
        return (
            "the body lacks 'model': name its shape with --dialect and a model with --model NAME, or write --body FILE"
        )
    return f"the body lacks {names}: write it with --body FILE, and {{{{prompt}}}} where the prompt belongs"


def message_of(body: bytes) -> str:
    """The message in a JSON error, whatever its shape; a body of plain text itself; empty for HTML."""
    value = _json(body)
    if value is not None:
        return " ".join(_texts(value)).strip()
    text = body.decode("utf-8", "replace").strip()
    return "" if text.startswith("<") else " ".join(text.split())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        below = {str(name).lower(): inner for name, inner in value.items()}
        first = next((name for name in _UNDER if name in below), None)
        if first is not None:
            yield from _texts(below[first])
            if isinstance(below[first], str):  # often only the status in words: the cause is beside it
                yield from _causes(below, first)
    elif isinstance(value, list):
        for item in value[:3]:
            yield from _texts(item)


def _causes(below: dict[str, Any], first: str) -> Iterator[str]:
    """The texts beside a title: those of a validator, which lists them by field, and those of Spring and NestJS."""
    errors = below.get("errors")
    if isinstance(errors, dict):
        errors = list(errors.values())
    for value in (None if first == "message" else below.get("message"), errors):
        if isinstance(value, (str, list)):
            yield from (text for text in _texts(value) if text != below[first])


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _excerpt(body: bytes) -> str:
    text = beginning(hidden_part(body, 0, SEARCHED_CHARS).decode("utf-8", "replace"), MOST_CHARS)
    return f"the body begins: {text!r}" if text else "the body is empty"
