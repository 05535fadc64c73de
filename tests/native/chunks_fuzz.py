"""Feeds damaged bodies to a build of the chunk cutter in C: `python -m tests.native.chunks_fuzz MODULE [BODIES]`.

Ends with an error where it gives something else than the way in Python. sanitize.py runs it under sanitizers.
"""

# ruff: noqa: T201 (a script: printing is what it does)

import random
import sys
from importlib.util import module_from_spec, spec_from_file_location

from streamgauge.transport.chunks_fast import cut_in_python

LAST = b"0\r\n\r\n"
INSTEAD = (b"", b"\r", b"\n", b"\r\n", b"0", b"00", b"f", b"FFFFFF", b"ffffff\r\n", b"g", b"-1", b";", LAST)


def body(draw: random.Random) -> bytes:
    """Chunks, in one of two cases damaged in up to three places."""
    chunks = [draw.randbytes(draw.choice((1, 2, 9, 15, 16, 17, 300))) for _ in range(draw.randrange(6))]
    data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + LAST
    for _ in range(draw.choice((0, 0, 1, 3))):
        at = draw.randrange(len(data) + 1)
        data = data[:at] + draw.choice(INSTEAD) + data[at + draw.randrange(3) :]
    return data


def reads(draw: random.Random, length: int) -> list[int]:
    """Sizes of reads, which may also be fewer or more bytes than there are."""
    sizes = []
    while sum(sizes) < length:
        sizes.append(draw.randrange(1, 40))
    if draw.random() < 0.8 and sizes:
        sizes[-1] -= sum(sizes) - length
    return sizes


def main() -> int:
    spec = spec_from_file_location("_chunks", sys.argv[1])
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    bodies = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    draw, taken = random.Random(1), 0
    for number in range(bodies):
        data = body(draw)
        begin, sizes = draw.randrange(3), reads(draw, len(data))
        data = b"\r" * begin + data
        python, c = cut_in_python(data, begin, sizes), module.cut(data, begin, sizes)
        taken += c is not None
        # A chunk with a line end in it is more than the way in Python can cut.
        if python is not None and python != c:
            print(f"body {number}: {data!r} in reads of {sizes}: {python} in Python, {c} in C")
            return 1
    print(f"{bodies:,} bodies, {taken:,} of them taken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
