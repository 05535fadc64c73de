"""Pages that a person writes, with blocks between `<!-- begin NAME -->` and `<!-- end NAME -->` that are generated."""

import re
from collections.abc import Callable, Iterable, Mapping


def rewritten(text: str, blocks: Mapping[str, Callable[[], str]]) -> str:
    """The page with its generated blocks made anew. Each block must be in it once."""
    for name, make in blocks.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        assert len(pattern.findall(text)) == 1, f"the page needs one block {name!r}"
        content = f"{begin}\n{make()}\n{end}"
        text = pattern.sub(lambda _, block=content: block, text)  # type: ignore[misc]
    return text


def handwritten(text: str, names: Iterable[str]) -> list[str]:
    """The lines that a person wrote: all but those inside the generated blocks of these names."""
    for name in names:
        text = re.sub(f"(<!-- begin {name} -->\\n).*?(<!-- end {name} -->)", r"\1\2", text, flags=re.DOTALL)
    return text.splitlines()
