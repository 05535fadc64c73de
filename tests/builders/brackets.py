"""Whether the brackets and quotes of C-like code pair: for languages whose compiler is seldom at hand."""

from typing import Final

_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_RAW: Final = "`"


def imbalance(code: str) -> str | None:
    """What does not pair in C# or Go; None when all does. Knows comments, strings and C#'s `$"{…}"`."""
    open_parts: list[str] = []  # closing brackets, or the opening of the string that we are in
    at = 0
    while at < len(code):
        character, inside = code[at], open_parts[-1] if open_parts else ""
        if inside in ('"', '$"', "'", _RAW):
            if character == "\n" and inside != _RAW:
                return f"a string goes on after its line: {inside}"
            if (character == "\\" and inside != _RAW) or (inside == '$"' and code[at : at + 2] in ("{{", "}}")):
                at += 1
            elif inside == '$"' and character == "{":
                open_parts.append("}")
            elif character == inside[-1]:
                open_parts.pop()
        elif code.startswith("//", at):
            at = code.find("\n", at) if "\n" in code[at:] else len(code)
        elif code.startswith('$"', at):
            open_parts.append('$"')
            at += 1
        elif character in ('"', "'", _RAW):
            open_parts.append(character)
        elif character in _CLOSING:
            open_parts.append(_CLOSING[character])
        elif character in _CLOSING.values():
            if character != inside:
                return f"{character} where {inside or 'nothing'} should close: {code[: at + 1][-40:]!r}"
            open_parts.pop()
        at += 1
    return f"not closed: {open_parts[-1]}" if open_parts else None
