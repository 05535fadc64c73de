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
    r"|\b(?:unknown|invalid|unsupported|missing|no such|provide|specify|specified|required)\b.{0,40}\bmodel",
    re.IGNORECASE | re.DOTALL,
)
_HEADER: Final = re.compile(
    r"(?:missing|required|requires?|expected|needs?|provide|set|send)\b[^.]{0,40}?[\"'`]?\b((?:[A-Za-z]+-)+[A-Za-z]+)\b[\"'`]?"
    r"[^.]{0,20}\bheader\b|\bheader\b[:\s]*[\"'`]?((?:[A-Za-z]+-)+[A-Za-z]+|[Aa]uthorization)\b|"
    r"[\"'`]?\b((?:[A-Za-z]+-)+[A-Za-z]+)\b[\"'`]?(?: request)? header",
    re.IGNORECASE,
)
_FIELD: Final = re.compile(
    r"(?:missing|required|expected)\s+(?:\w+\s+){0,3}?(?:field|parameter|property|key|argument)s?[:\s]*[\"'`]?(\w+)[\"'`]?"
    r"|[\"'`](\w+)[\"'`]\s+(?:is|are)\s+(?:a\s+)?(?:required|missing)"
    r"|(?:field|parameter|property)\s+[\"'`]?(\w+)[\"'`]?\s+(?:is\s+)?(?:required|missing)",
    re.IGNORECASE,
)
_UNDER: Final = ("error", "detail", "message", "title", "msg", "errors", "error_description", "description")


def hint_for(head: Head, body: bytes, url: str) -> str:
    """The option that the answer asks for, after a quotation of the answer."""
    said = message_of(body)[:SEARCHED_CHARS]
    quoted = f"the answer says: {beginning(said, MOST_CHARS)!r}" if said else _excerpt(body)
    advice = "; ".join(dict.fromkeys(_advice(head, body, said, url)))
    return f"{quoted}; {advice}" if advice else quoted


def _advice(head: Head, body: bytes, said: str, url: str) -> Iterator[str]:
    status = head.status
    wanted = list(_missing_places(body))
    yield from (advice for _, advice in wanted)
    header = _named(_HEADER, said)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or (status >= 400 and _AUTH_WORDS.search(said)):
        named = f"--header '{header}: VALUE'" if header else "--header 'NAME: VALUE'"
        yield f"give the key with --api-key-env NAME_OF_ENV, or with {named}"
    elif header and status >= 400:
        yield f"give the header with --header '{header}: VALUE'"
    if status >= 400 and _MODEL.search(said):
        yield "name a model that the endpoint has with --model NAME"
    elif status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY) and not wanted and not header:
        if field := _named(_FIELD, said):
            yield _lacking(repr(field))
        elif not _AUTH_WORDS.search(said):
            yield "write the body that the endpoint expects with --body FILE, or name its shape with --dialect"
    yield from _by_status(head, said, url)


def _by_status(head: Head, said: str, url: str) -> Iterator[str]:
    """What the status alone says."""
    status = head.status
    if 300 <= status < 400 and (elsewhere := head.get("location")):
        yield f"it redirects to {mask_url(elsewhere)[:500]!r}: is that the URL to measure?"
    elif status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        yield "say what the body is with --header 'Content-Type: TYPE'"
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        yield "its rate limit is used up: try again later"
    elif status >= 500:
        yield "the endpoint itself failed: its log says why"
    elif status == HTTPStatus.METHOD_NOT_ALLOWED or (status == HTTPStatus.NOT_FOUND and not _MODEL.search(said)):
        if paths := nearest_paths(url):
            yield f"is the path right? Try {' or '.join(paths)}"
        else:
            yield "is the path right?"
        if allowed := head.get("allow"):
            yield f"it allows {allowed[:60]}: --method"
    elif _is_base(url) and status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        yield f"this is a base URL: try {' or '.join(nearest_paths(url))}"


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
    """The fields that a validator of FastAPI's kind lists, each with the option that fills it."""
    value = _json(body)
    details = value.get("detail") if isinstance(value, dict) else None
    fields: dict[str, list[str]] = {}
    for item in details if isinstance(details, list) else ():
        place = item.get("loc") if isinstance(item, dict) else None
        if isinstance(place, list) and len(place) > 1 and all(isinstance(part, (str, int)) for part in place):
            fields.setdefault(str(place[0]), []).append(str(place[-1]))
    for name in fields.get("header", ()):
        yield name, f"give the header with --header '{name}: VALUE'"
    for name in fields.get("query", ()):
        yield name, f"give the parameter {name!r} in the URL, with {{{{prompt}}}} as its value where the prompt belongs"
    if named := fields.get("body"):
        listed = ", ".join(repr(name) for name in named)
        yield listed, _lacking(listed)


def _lacking(names: str) -> str:
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
        for name in _UNDER:
            if name in value:
                yield from _texts(value[name])
                return
    elif isinstance(value, list):
        for item in value[:3]:
            yield from _texts(item)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _excerpt(body: bytes) -> str:
    text = beginning(hidden_part(body, 0, SEARCHED_CHARS).decode("utf-8", "replace"), MOST_CHARS)
    return f"the body begins: {text!r}" if text else "the body is empty"
