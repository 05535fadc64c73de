"""What each fault makes of a clean stream, whatever the vendor: the expectations of test_mock_vendor_faults."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from streamgauge.mock_provider.dialects.base import MESSAGE
from streamgauge.mock_provider.faults.errors import ERROR_TEXT, LINES
from streamgauge.mock_provider.faults.security import SECRET, STACK_TRACE
from tests.mock_provider.mock_wire import parse
from tests.mock_provider.vendor_wire import PROFILE_NAMES, Vendor

TOKENS, HALF = 6, 3
BOM = b"\xef\xbb\xbf"
COMMENT = b": keep-alive\n\n"


@dataclass
class Clean:
    """The chunks of a clean stream, LF at the end of each line, and how to make others like them."""

    vendor: Vendor
    wire: list[bytes]  # with the vendor's own line ends
    texts: list[str]
    cut: "Callable[[int], Clean]"  # the clean stream of fewer tokens
    chunks: list[bytes] = field(init=False)

    def __post_init__(self) -> None:
        newline = b"\r\n" if self.vendor.name == "gemini" else b"\n"
        self.chunks = [chunk.replace(newline, b"\n") for chunk in self.wire]

    @property
    def middle(self) -> int:
        return self.vendor.before + HALF

    def head(self, tokens: int) -> list[bytes]:
        return self.chunks[: self.vendor.before + tokens]

    def text(self, index: int, text: str) -> bytes:
        """The chunk of a token with another text."""
        old, chunk = literal(self.texts[index]), self.chunks[self.vendor.before + index]
        assert chunk.count(old) == 1
        return chunk.replace(old, literal(text))

    def saying(self, texts: list[str], *, escaped: bool = True) -> list[bytes]:
        """With other texts, also where the end repeats all of them."""
        before = self.vendor.before
        whole, new = literal("".join(self.texts)), literal("".join(texts), escaped=escaped)
        tokens = [
            chunk.replace(literal(old), literal(text, escaped=escaped))
            for chunk, old, text in zip(self.chunks[before:], self.texts, texts, strict=False)
        ]
        end = [chunk.replace(whole, new) for chunk in self.chunks[before + len(texts) :]]
        return [*self.head(0), *tokens, *end]

    def with_text(self, index: int, *texts: str) -> list[bytes]:
        """With other texts from token `index` on."""
        return self.saying([*self.texts[:index], *texts, *self.texts[index + len(texts) :]])

    def each(self, change: Callable[[bytes], bytes]) -> list[bytes]:
        return [change(chunk) for chunk in self.chunks]

    def tokens(self, change: Callable[[bytes], bytes]) -> list[bytes]:
        before = self.vendor.before
        return [change(c) if before <= i < before + TOKENS else c for i, c in enumerate(self.chunks)]

    def at(self, index: int, *new: bytes) -> list[bytes]:
        """With `new` in place of one chunk."""
        index %= len(self.chunks)
        return [*self.chunks[:index], *new, *self.chunks[index + 1 :]]

    def struck(self, change: Callable[[bytes], bytes]) -> list[bytes]:
        """With another middle token's chunk."""
        return self.at(self.middle, change(self.chunks[self.middle]))

    def before_middle(self, *new: bytes) -> list[bytes]:
        return [*self.chunks[: self.middle], *new, *self.chunks[self.middle :]]

    def having(self, chunks: list[bytes]) -> "Clean":
        """The same stream of other chunks."""
        return Clean(self.vendor, chunks, self.texts, self.cut)

    def before_fourths(self, new: bytes) -> list[bytes]:
        """With `new` before the first and the fifth token."""
        first, second = self.vendor.before, self.vendor.before + 4
        return [*self.chunks[:first], new, *self.chunks[first:second], new, *self.chunks[second:]]

    def at_first_event(self, change: Callable[[bytes], bytes]) -> list[bytes]:
        """With another first event; a comment is none."""
        index = next(i for i, chunk in enumerate(self.chunks) if not chunk.startswith(b":"))
        return self.at(index, change(self.chunks[index]))

    def payloads(self, pattern: bytes, new: bytes, count: int = 0) -> list[bytes]:
        """With `pattern` replaced in each chunk."""
        return self.each(lambda chunk: re.sub(pattern, new, chunk, count=count))

    def half(self, tokens: int) -> list[bytes]:
        """Of the wire, so many tokens and half of what follows them."""
        at = self.vendor.before + tokens
        return [*self.wire[:at], self.wire[at][: len(self.wire[at]) // 2]]

    def failed(self, message: str = MESSAGE) -> list[bytes]:
        """After two tokens the vendor's own error."""
        return [*self.head(2), self.error(message)]

    def error(self, message: str) -> bytes:
        told, name = json.dumps(message), self.vendor.name
        if name == "anthropic":
            return typed(f'{{"type":"error","error":{{"type":"overloaded_error","message":{told}}}}}')
        if name == "openai-responses":
            number = self.vendor.before + 3  # two events of the third chunk
            begun = self.chunks[0].partition(b'"response":')[2].decode().rstrip()
            error = f'"error":{{"code":"server_error","message":{told}}}'
            failed = begun.replace('"status":"in_progress"', '"status":"failed"').replace('"error":null', error)
            return typed(
                f'{{"type":"error","sequence_number":{number},"code":"server_error","message":{told},"param":null}}'
            ) + typed(f'{{"type":"response.failed","sequence_number":{number + 1},"response":{failed}')
        if name == "openrouter":
            error = f'"error":{{"code":"server_error","message":{told}}}'.encode()
            chunk = self.text(0, "").replace(b'"finish_reason":null', b'"finish_reason":"error"')
            return chunk.replace(b'"usage":null', error)
        if name in (*PROFILE_NAMES, "openai-completions"):
            error = f'{{"message":{told},"type":"server_error","param":null,"code":null}}'
            return f'data: {{"error":{error}}}\n\n'.encode()
        if name == "cohere":
            end = self.cut(2).chunks[-1]
            return end.replace(b'"finish_reason":"COMPLETE"', f'"error":{told},"finish_reason":"ERROR"'.encode())
        if name.startswith("gemini"):
            value = (
                f'{{\n  "error": {{\n    "code": 503,\n    "message": {told},\n    "status": "UNAVAILABLE"\n  }}\n}}'
            )
            return (f"{value}\n\n" if name == "gemini" else f",\r\n{value}\n]\n").encode()
        return f'{{"error":{told}}}\n'.encode()


def literal(text: str, *, escaped: bool = True) -> bytes:
    """A JSON string; its lone bytes, which no JSON has, as they are."""
    lone = "[\udc80-\udcff]"
    pieces = re.split(f"({lone})", text)
    coded = [one if re.fullmatch(lone, one) else json.dumps(one, ensure_ascii=escaped)[1:-1] for one in pieces]
    return f'"{"".join(coded)}"'.encode("utf-8", "surrogateescape")


def typed(payload: str) -> bytes:
    return f"event: {json.loads(payload)['type']}\ndata: {payload}\n\n".encode()


def pretty(chunk: bytes) -> bytes:
    opening, payload = chunk.removesuffix(b"\n\n").split(b"data: ")
    lines = json.dumps(json.loads(payload), indent=2).splitlines()
    return opening + "".join(f"data: {line}\n" for line in lines).encode() + b"\n"


def spread(chunk: bytes) -> bytes:
    return json.dumps(json.loads(chunk), indent=2).encode() + b"\n"


def noted(chunk: bytes) -> bytes:
    return b"".join(b": note\n" + line if line.strip() else line for line in chunk.splitlines(keepends=True))


def add_line(line: bytes) -> Callable[[bytes], bytes]:
    return lambda chunk: chunk[:-1] + line + b"\n\n"


def same(clean: Clean) -> list[bytes]:
    return clean.chunks


def unescaped(clean: Clean) -> list[bytes]:
    return clean.saying(clean.texts, escaped=False)


def split_writes(clean: Clean) -> list[bytes]:
    out = []
    for chunk in unescaped(clean):
        at, characters = 0, [i for i, byte in enumerate(chunk) if byte >= 0xC2][:4]
        for start in characters:
            more = 1 + (chunk[start] >= 0xE0) + (chunk[start] >= 0xF0)
            for cut in range(start + 1, start + 1 + more):
                out.append(chunk[at:cut])
                at = cut
        out.append(chunk[at:])
    return out


def bad_json(chunk: bytes) -> bytes:
    payload = chunk.rstrip(b"\n")
    return payload[:-1] + chunk[len(payload) :]


def broken(clean: Clean, others: list[bytes]) -> list[bytes]:
    """The middle token without its last character, unlike the others on one line."""
    return clean.having(others).at(clean.middle, bad_json(clean.chunks[clean.middle]))


def merged(clean: Clean) -> list[bytes]:
    data = clean.chunks[clean.middle + 1].partition(b"data: ")[2]
    chunk = clean.chunks[clean.middle][:-1] + b"data: " + data
    return [*clean.chunks[: clean.middle], chunk, *clean.chunks[clean.middle + 2 :]]


def swapped(clean: Clean) -> list[bytes]:
    at = clean.middle
    return [*clean.chunks[:at], clean.chunks[at + 1], clean.chunks[at], *clean.chunks[at + 2 :]]


def after_id(clean: Clean) -> list[bytes]:
    chunks = clean.having(clean.at_first_event(add_line(b"id: 1"))).before_fourths(COMMENT)
    # Where the first event is a token's, no id is in force before it.
    return chunks if clean.vendor.before else chunks[1:]


def ids(clean: Clean) -> list[bytes]:
    numbers = iter(range(TOKENS))
    return clean.tokens(lambda chunk: add_line(b"id: %d" % next(numbers))(chunk))


def ids_first(clean: Clean) -> list[bytes]:
    numbers = iter(range(TOKENS))
    return clean.tokens(lambda chunk: b"id: %d\n" % next(numbers) + chunk)


def bursts(clean: Clean) -> list[bytes]:
    """Three tokens' chunks in each."""
    start, end = clean.vendor.before, clean.vendor.before + TOKENS
    grouped = [b"".join(clean.chunks[at : min(at + 3, end)]) for at in range(start, end, 3)]
    return [*clean.chunks[:start], *grouped, *clean.chunks[end:]]


def marked_ids(clean: Clean) -> list[bytes]:
    numbers = iter(range(TOKENS))
    return clean.tokens(lambda chunk: add_line(b"id: %d-e3b0c442" % next(numbers))(chunk))


def afterthought(clean: Clean) -> list[bytes]:
    chunk = clean.text(0, " afterthought")
    # What counts, goes on counting: Gemini's usage, the numbers of Responses.
    for name in ("candidatesTokenCount", "totalTokenCount"):
        chunk = re.sub(rb'("%b":)(\d+)' % name.encode(), lambda m: b"%b%d" % (m[1], int(m[2]) + TOKENS), chunk)
    if numbers := re.findall(rb'"sequence_number":(\d+)', clean.chunks[-1]):
        chunk = re.sub(rb'"sequence_number":\d+', b'"sequence_number":%d' % (int(numbers[-1]) + 1), chunk)
    return [*clean.chunks, chunk]


def error_as_content(clean: Clean) -> list[bytes]:
    short = clean.cut(3)
    if clean.vendor.name != "mistral":
        return short.with_text(2, ERROR_TEXT)
    # The error is no token, so it can't be the last one, which shares the chunk of the finish reason.
    finish = re.sub(rb'"delta":\{[^}]*\}', b'"delta":{}', short.chunks[-2])
    return [*clean.head(2), clean.text(0, ERROR_TEXT), finish, short.chunks[-1]]


def blanks_dropped(clean: Clean) -> list[bytes]:
    """With this seed and this kind of text the second half is white space."""
    short = clean.cut(HALF)
    if clean.vendor.name != "mistral":
        return short.chunks
    # What is left out is the last token, which shares the chunk of the finish reason.
    finish = re.sub(rb'"delta":\{[^}]*\}', b'"delta":{}', short.chunks[-2])
    return [*clean.head(HALF), finish, short.chunks[-1]]


def error_then_done(clean: Clean) -> list[bytes]:
    end = clean.cut(2).chunks[-1]
    if clean.vendor.name == "openai-responses":
        # The answer's one item was never finished, so the end does not know of it.
        value = json.loads(end.partition(b"data: ")[2])
        value["sequence_number"] = clean.vendor.before + 5
        value["response"]["output"] = []
        usage = value["response"]["usage"]
        usage |= {"output_tokens": 0, "total_tokens": usage["input_tokens"]}
        end = typed(json.dumps(value, separators=(",", ":")))
    return [*clean.failed(), end]


def unclosed(clean: Clean) -> list[bytes]:
    chunks = clean.at(-clean.vendor.after)
    if clean.vendor.name == "openai-responses":
        # Three events fewer, and the answer's one item was never finished, so the end does not know of it.
        value = json.loads(chunks[-1].partition(b"data: ")[2])
        value["sequence_number"] -= 3
        value["response"]["output"] = []
        usage = value["response"]["usage"]
        usage |= {"output_tokens": 0, "total_tokens": usage["input_tokens"]}
        chunks[-1] = typed(json.dumps(value, separators=(",", ":")))
    return chunks


def skipped_number(clean: Clean) -> list[bytes]:
    def one_more(chunk: bytes) -> bytes:
        return re.sub(rb'("sequence_number":)(\d+)', lambda m: b"%b%d" % (m[1], int(m[2]) + 1), chunk)

    return [*clean.chunks[: clean.middle], *map(one_more, clean.chunks[clean.middle :])]


def completed(**changes: object) -> Callable[[Clean], list[bytes]]:
    """With other members in the response of the last event; None takes a member away."""

    def change(chunk: bytes) -> bytes:
        head, marker, text = chunk.partition(b"data: ")
        value = json.loads(text)
        value["response"] = {
            name: item
            for name, item in {**value["response"], **changes}.items()
            if item is not None or name not in changes
        }
        return head + marker + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"

    return lambda clean: clean.at(-1, change(clean.chunks[-1]))


def renamed(clean: Clean) -> list[bytes]:
    new = [re.sub(rb'"id":"((?:chat)?cmpl-\w+)"', rb'"id":"\1x"', chunk) for chunk in clean.chunks]
    return [*clean.chunks[: clean.middle], *new[clean.middle :]]


def zero_usage(clean: Clean) -> list[bytes]:
    before, usage, counts = clean.chunks[-2].partition(b'"usage":')
    return clean.at(-2, before + usage + re.sub(rb"\d+", b"0", counts))


def finish_twice(clean: Clean) -> list[bytes]:
    index = next(i for i, chunk in enumerate(clean.chunks) if b'"finish_reason":"stop"' in chunk)
    return clean.at(index, clean.chunks[index], clean.chunks[index])


def empty_choices(clean: Clean) -> list[bytes]:
    chunk = re.sub(rb'"choices":\[.*\](?=[,}])', b'"choices":[]', clean.chunks[clean.middle])
    return clean.before_middle(chunk)


def null_error(clean: Clean) -> list[bytes]:
    return clean.each(
        lambda c: c[:-3] + b',"error":null}\n\n' if c.startswith(b"data: {") and b'"error":{' not in c else c
    )


def wrong_object(clean: Clean) -> list[bytes]:
    return clean.payloads(rb'"object":"[^"]*"', b'"object":"chat.completion"')


def repeated_ids(clean: Clean) -> list[bytes]:
    call_ids: dict[bytes, bytes] = {}

    def change(match: re.Match[bytes]) -> bytes:
        index, given = match[1], match[2]
        if given is not None:
            call_ids[index] = given
            return match[0]
        return b'"tool_calls":[{"index":%b,%b,"id":%b}]' % (index, match[3], call_ids[index])

    pattern = rb'"tool_calls":\[\{"index":(\d),(?:"id":("[^"]+").*?|("function":\{.*?\}))\}\](?=\},"finish)'
    return clean.each(lambda chunk: re.sub(pattern, change, chunk))


def bare(error: bytes) -> bytes:
    """With the line breaks that the message has, not their escapes."""
    return error.replace(b"\\r", b"\r").replace(b"\\n", b"\n")


def told_as_text(error: bytes) -> bytes:
    """With its message in place of the object."""
    return re.sub(rb'"error":\{[^}]*"message":("[^"]*")[^}]*\}', rb'"error":\1', error)


def blocks(clean: Clean) -> list[bytes]:
    body = b"".join(clean.wire)
    return [body[i : i + 100] for i in range(0, len(body), 100)]


def framed(chunk: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(chunk), chunk)


@dataclass(frozen=True)
class Case:
    """`expect` makes the chunks with LF line ends, or, when `as_is`, as they are on the wire."""

    spec: str
    expect: Callable[[Clean], list[bytes]]
    end: str = "fin"
    whole: bool = True
    rest: Callable[[list[bytes]], bytes] = lambda _: b""  # from the clean chunks as they are on the wire
    as_is: bool = False
    more: str = ""  # keys of both directives

    @property
    def name(self) -> str:
        return name_of(self.spec)


def name_of(spec: str) -> str:
    """The name of a fault, or of the first of several."""
    return re.split("[:@,]", spec)[0]


CASES = [
    Case("crlf", lambda c: c.each(lambda x: x.replace(b"\n", b"\r\n"))),
    Case("cr", lambda c: c.each(lambda x: x.replace(b"\n", b"\r")), as_is=True),
    Case("no-space", lambda c: c.payloads(rb"(?m)^(event|data): ", rb"\1:")),
    Case("double-space", lambda c: c.payloads(rb"(?m)^(event|data): ", rb"\1:  ")),
    Case("bom", lambda c: c.at(0, BOM + c.chunks[0])),
    Case("bom-mid", lambda c: c.struck(lambda x: BOM + x)),
    Case("unknown-field", lambda c: c.tokens(add_line(b"trace: 1"))),
    Case("comment-heartbeats", lambda c: c.before_fourths(COMMENT)),
    Case("heartbeat-data", lambda c: c.before_fourths(b"data:\n\n")),
    Case("heartbeat-event", lambda c: c.before_fourths(b"event: ping\n\n")),
    Case("heartbeat-glued", lambda c: c.before_fourths(b": keep-alive\n")),
    Case("heartbeat-after-id", after_id),
    Case("comments-anywhere", lambda c: c.each(noted)),
    Case("ids", ids),
    Case("ids-first", ids_first),
    Case("resumable", marked_ids),
    Case("resume-gap", marked_ids),
    Case("resume-unscoped", marked_ids),
    Case("crossed-streams", same),  # there is no other
    Case("retry", lambda c: c.at_first_event(lambda x: b"retry: 3000\n" + x)),
    Case("merged-events", merged),
    Case("rewrapped", lambda c: c.payloads(rb"(?m)^(?=.)", b"data: ")),
    Case("empty-data", lambda c: c.before_middle(b"data: \n\n")),
    Case("metadata-only", lambda c: c.before_middle(b"event: ping\n\n")),
    Case("id-nul", lambda c: c.struck(add_line(b"id: a\0b"))),
    Case("retry-bad", lambda c: c.struck(add_line(b"retry: soon"))),
    Case("pretty-json", lambda c: c.tokens(pretty)),
    Case("multi-line-data", lambda c: c.tokens(lambda x: x.replace(b"data: {", b"data: {\ndata: "))),
    Case("oversized-event", lambda c: c.with_text(HALF, c.texts[HALF] + "x" * 65_536)),
    Case("oversized-event:70", lambda c: c.with_text(HALF, c.texts[HALF] + "x" * 70)),
    Case("bad-json", lambda c: c.struck(bad_json)),
    Case("utf8-invalid", lambda c: c.with_text(HALF, c.texts[HALF] + "\udcff")),
    # With this seed the middle token is " caf\u00e9"; its last byte goes to the next one.
    Case("split-utf8", lambda c: c.with_text(HALF, " caf\udcc3", "\udca9 na\u00efve")),
    Case("split-utf8-writes", split_writes),
    Case("raw-separators", unescaped),
    Case("cumulative", lambda c: c.saying(["".join(c.texts[: i + 1]) for i in range(TOKENS)])),
    Case("injection-json", lambda c: c.tokens(lambda x: x.replace(b"\\n", b"\n"))),
    Case("injection-quote", lambda c: c.tokens(lambda x: x.replace(b'\\"', b'"'))),
    Case("blank-line", lambda c: c.before_middle(b"\n")),
    Case("spread-lines", lambda c: c.tokens(spread)),
    Case("no-final-newline", lambda c: c.at(-1, c.chunks[-1][:-1])),
    Case("no-final-blank", lambda c: c.at(-1, c.chunks[-1][:-1])),
    Case("finish-null", lambda c: c.payloads(rb'("finish_reason":)"stop"', rb"\1null")),
    Case("finish-wrong", lambda c: c.payloads(rb'("finish_reason":)"stop"', rb'\1"done"')),
    Case("finish-twice", finish_twice),
    Case("changed-id", renamed),
    Case("usage-missing", lambda c: c.at(-2)),
    Case("usage-zero", zero_usage),
    Case("empty-choices", empty_choices),
    Case("wrong-object", wrong_object),
    Case("error-null-key", null_error),
    Case("tool-no-index", lambda c: c.payloads(rb'("tool_calls":\[\{)"index":\d,', rb"\1"), more="tools=2"),
    Case("tool-id-repeated", repeated_ids, more="tools=2"),
    Case(
        "tool-arguments-object",
        lambda c: c.payloads(rb'("arguments":)("(?:[^"\\]|\\.)*")', rb'\1{"text":\2}'),
        more="tools=2",
    ),
    Case("tool-bad-json", lambda c: c.each(lambda x: x.replace(b'\\"}"', b'\\""')), more="tools=2"),
    Case("unnamed-events", lambda c: c.payloads(rb"(?m)^event: .*\n", b"")),
    Case("unclosed-part", unclosed),
    Case("sequence-gap", skipped_number),
    Case("stop-reason-null", lambda c: c.payloads(rb'("stop_reason":)"end_turn"', rb"\1null")),
    Case("message-no-content", lambda c: c.payloads(rb'"content":\[\],"stop_reason":null,', b"")),
    Case("completed-no-output", completed(output=None, usage=None)),
    Case("completed-empty-output", completed(output=[])),
    Case("text-number", lambda c: c.struck(lambda x: x.replace(literal(c.texts[HALF]), b"5"))),
    Case("ping-empty", lambda c: c.payloads(rb"(event: ping\n)data: .*\n", rb"\1")),
    Case("array-payloads", lambda c: c.payloads(rb"(?m)^data: (.*)$", rb"data: [\1]")),
    Case("error-bare:2", lambda c: [*c.head(2), b"Internal Server Error\n\n"]),
    Case("no-terminal", lambda c: c.chunks[:-1]),
    Case("double-terminal", lambda c: [*c.chunks, c.chunks[-1]]),
    Case("content-after-terminal", afterthought),
    Case("swapped-events", swapped),
    Case("cut-mid-event:2", lambda c: c.half(2), as_is=True),
    Case("fin-mid-event:2", lambda c: c.half(2), whole=False, as_is=True),
    Case("error-event:2", lambda c: c.failed()),
    Case("secret-in-error:2", lambda c: c.failed(SECRET)),
    Case("stack-trace:2", lambda c: c.failed(STACK_TRACE)),
    Case("error-then-done:2", error_then_done),
    Case("error-as-content:2", error_as_content),
    Case("stall:5ms@2", same),
    Case("stall@2", lambda c: c.head(2), end="open", whole=False),
    Case("stall-quiet:5ms@2", same),
    Case("stall-quiet@2", lambda c: c.head(2), end="open", whole=False),
    Case("late-event:5ms@2", same),
    Case("drip:1us@5", same),
    Case("write-every:7", same),
    Case("silent", lambda _: [], end="open", whole=False),
    Case("late-close:5ms", same),
    Case("tail-hold:5ms", same),
    Case("no-flush", lambda c: [b"".join(c.chunks)]),
    Case("one-behind", same),
    Case("block:100", blocks, as_is=True),
    Case("bursts:3", bursts),
    Case("no-final-chunk", same, whole=False),
    Case(
        "truncated-chunk:2",
        lambda c: c.head(2),
        whole=False,
        rest=lambda chunks: framed(chunks[0])[: len(framed(chunks[0])) // 2],
    ),
    Case(
        "bad-chunk-size",
        lambda c: c.head(HALF),
        whole=False,
        rest=lambda chunks: (
            b"zz\r\n" + framed(chunks[0]).partition(b"\r\n")[2] + b"".join(map(framed, chunks[1:])) + b"0\r\n\r\n"
        ),
    ),
    Case("rst:2", lambda c: c.head(2), end="rst", whole=False),
    Case("fin:2", lambda c: c.head(2), whole=False),
    Case("late-head", same),
    Case("error-lines:2", lambda c: c.failed(LINES)),
    Case("error-unframed,error-lines:2", lambda c: [*c.head(2), bare(c.error(LINES))]),
    Case("error-string,error-event:2", lambda c: [*c.head(2), told_as_text(c.error(MESSAGE))]),
    Case("blanks-dropped", blanks_dropped),
]

# Faults of which one used to break the other: the vendor, and what both together are.
TOGETHER = [
    ("azure", Case("error-event:2,error-null-key", lambda c: null_error(c.having(c.failed())))),
    ("azure", Case("error-event:2,wrong-object", lambda c: wrong_object(c.having(c.failed())))),
    ("openrouter", Case("error-event:2,error-null-key", lambda c: null_error(c.having(c.failed())))),
    ("azure", Case("merged-events,wrong-object", lambda c: wrong_object(c.having(merged(c))))),
    ("cohere", Case("unknown-field,pretty-json", lambda c: c.tokens(lambda x: add_line(b"trace: 1")(pretty(x))))),
    ("anthropic", Case("bad-json,pretty-json", lambda c: broken(c, c.tokens(pretty)))),
    ("ollama", Case("bad-json,spread-lines", lambda c: broken(c, c.tokens(spread)))),
    # The error cuts off a call, which was to be said whole.
    ("gemini", Case("unknown-field,error-event:2", lambda c: [c.error(MESSAGE)], more="tools=1")),
    # The bad byte ends the middle token, or goes to the next one with the tail of what is cut.
    ("cohere", Case("split-utf8,utf8-invalid", lambda c: c.with_text(HALF, " caf\udcc3\udcff", "\udca9 na\u00efve"))),
    ("cohere", Case("utf8-invalid,split-utf8", lambda c: c.with_text(HALF, " caf\udcc3", "\udca9\udcff na\u00efve"))),
]

HEADS: dict[str, tuple[list[str], list[str]]] = {  # the fields that go, the lines that come
    "wrong-content-type": (["Content-Type"], ["Content-Type: text/plain"]),
    "wrong-content-type:text/html": (["Content-Type"], ["Content-Type: text/html"]),
    "no-content-type": (["Content-Type"], []),
    "two-content-types": ([], ["Content-Type: application/json"]),
    "double-headers": ([], ["TWICE"]),
    "cache-public": (["Cache-Control"], ["Cache-Control: public, max-age=3600"]),
    "no-accel-header": (["X-Accel-Buffering"], []),
    "constant-request-id": ([], []),
    "no-request-id": (["X-Request-Id"], []),
    "cors-wild": ([], ["Access-Control-Allow-Origin: https://e.example", "Access-Control-Allow-Credentials: true"]),
    "content-length": (["Transfer-Encoding"], ["Content-Length: BODY"]),
    "close-delimited": (["Transfer-Encoding"], []),
    "coding-twice": ([], ["Transfer-Encoding: chunked"]),
    "coding-identity": ([], ["Transfer-Encoding: identity"]),
    "length-beside-chunks": ([], ["Content-Length: 65536"]),
    "folded-header": ([], ["X-Note: one line", " and another"]),
    "http10": (["HTTP/1.1", "Transfer-Encoding"], ["HTTP/1.0 200 OK"]),
    "gzip-flush": ([], ["Content-Encoding: gzip", "Vary: Accept-Encoding"]),
    "gzip-no-flush": ([], ["Content-Encoding: gzip", "Vary: Accept-Encoding"]),
}


def extended(raw: bytes) -> bytes:
    """The same chunks, each with an extension."""
    head, blank, _ = raw.partition(b"\r\n\r\n")
    chunks = [b"%x;note=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in parse(raw, "fin").chunks]
    return head + blank + b"".join(chunks) + b"0;note=1\r\n\r\n"


# The bytes of the whole response from those of the clean one, and how they end.
RAW: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "chunk-extensions": (extended, "fin"),
    "close-unannounced": (lambda raw: raw, "fin"),  # what differs comes after it: see test_mock_faults
    "rst-at": (lambda raw: raw[:1], "rst"),
    "rst-at:40": (lambda raw: raw[:40], "rst"),
    "rst-at:500": (lambda raw: raw[:500], "rst"),
    "100-first": (lambda raw: b"HTTP/1.1 100 Continue\r\n\r\n" + raw, "fin"),
    "103-first": (lambda raw: b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n" + raw, "fin"),
    "no-answer": (lambda _: b"", "open"),
    "accept-close": (lambda _: b"", "fin"),
}
ANSWERS = {
    "status",
    "status-lines",
    "context-length",
    "html-200",
    "strict-accept",
    "no-retry-after",
}  # instead of a stream
EXPECTED = {name_of(spec) for spec in (*(case.spec for case in CASES), *HEADS, *RAW)} | ANSWERS
