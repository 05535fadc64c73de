"""The event-stream format once more, for the tests: whole bodies only, slow, and nothing shared with the harness.

Written from the text of the standards, step by step and in their words:
https://html.spec.whatwg.org/multipage/server-sent-events.html sections 9.2.5 and 9.2.6, and, because even the decoding
shall be independent, https://encoding.spec.whatwg.org/#utf-8-decoder.
"""

from typing import NamedTuple


class Parsed(NamedTuple):
    """What a body means: its events as (type, data, last event ID), and what the end leaves set."""

    events: list[tuple[str, str, str]]
    last_event_id: str
    reconnection_time: int | None


def parse(body: bytes) -> Parsed:
    """Interpret an event stream (9.2.6)."""
    events = []
    data = event_type = id_buffer = last_event_id = ""
    reconnection_time = None
    for line in lines(utf_8_decode(body)):
        if line == "":  # dispatch the event
            last_event_id = id_buffer
            if data != "":
                if data[-1] == "\n":
                    data = data[:-1]
                events.append((event_type if event_type != "" else "message", data, last_event_id))
            data = event_type = ""
            continue
        if line[0] == ":":
            continue
        if ":" in line:
            colon = line.index(":")
            field, value = line[:colon], line[colon + 1 :]
            if value != "" and value[0] == " ":
                value = value[1:]
        else:
            field, value = line, ""
        if field == "event":
            event_type = value
        elif field == "data":
            data = data + value + "\n"
        elif field == "id":
            if "\0" not in value:
                id_buffer = value
        elif field == "retry" and value != "" and all(character in "0123456789" for character in value):
            reconnection_time = 0
            for character in value:
                reconnection_time = reconnection_time * 10 + "0123456789".index(character)
    return Parsed(events, last_event_id, reconnection_time)


def lines(text: str) -> list[str]:
    """The lines of a stream (9.2.5): ended by CR LF, LF or CR. Bytes behind the last line end are discarded."""
    found = []
    line = ""
    at = 0
    while at < len(text):
        if text[at] in "\r\n":
            found.append(line)
            line = ""
            if text[at] == "\r" and text[at + 1 : at + 2] == "\n":
                at += 1
        else:
            line += text[at]
        at += 1
    return found


def utf_8_decode(data: bytes) -> str:
    """UTF-8 decode: one byte order mark is removed, and bytes that are not UTF-8 become U+FFFD."""
    queue = list(data)
    if queue[:3] == [0xEF, 0xBB, 0xBF]:
        del queue[:3]
    text = ""
    code_point = seen = needed = 0
    lower, upper = 0x80, 0xBF
    at = 0
    while at < len(queue):
        byte = queue[at]
        at += 1
        if needed == 0:
            if byte <= 0x7F:
                text += chr(byte)
            elif 0xC2 <= byte <= 0xDF:
                needed, code_point = 1, byte & 0x1F
            elif 0xE0 <= byte <= 0xEF:
                if byte == 0xE0:
                    lower = 0xA0
                if byte == 0xED:
                    upper = 0x9F
                needed, code_point = 2, byte & 0xF
            elif 0xF0 <= byte <= 0xF4:
                if byte == 0xF0:
                    lower = 0x90
                if byte == 0xF4:
                    upper = 0x8F
                needed, code_point = 3, byte & 0x7
            else:
                text += "\ufffd"
            continue
        if not lower <= byte <= upper:
            code_point = needed = seen = 0
            lower, upper = 0x80, 0xBF
            at -= 1  # restore the byte
            text += "\ufffd"
            continue
        lower, upper = 0x80, 0xBF
        code_point = (code_point << 6) | (byte & 0x3F)
        seen += 1
        if seen == needed:
            text += chr(code_point)
            code_point = needed = seen = 0
    return text + "\ufffd" if needed else text
