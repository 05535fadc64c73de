"""Cutting a whole chunked body, in C: chunks_fast.py has the same in Python."""

from typing import Final

VERSION: Final[int]

def cut(data: bytes, begin: int, sizes: list[int], /) -> tuple[list[bytes], list[int], list[int]] | None:
    """See `chunks_fast.cut_in_python`. Raises ValueError for a `begin` or a size that cannot be."""
