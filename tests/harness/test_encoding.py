"""Content codings undone piece by piece, and bounded."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.encoding import Identity, Zlib, decoder_for
from harness.errors import LimitExceeded
from tests.harness.tapes import cut

WBITS = {"gzip": 31, "deflate": 15}


@pytest.mark.parametrize("coding", sorted(WBITS))
def test_a_flushed_piece_is_decoded_when_it_comes(coding: str) -> None:
    compressor = zlib.compressobj(wbits=WBITS[coding])
    decoder = decoder_for(coding)
    for text in (b"data: Hel\n\n", b"data: lo\n\n"):
        assert decoder.feed(compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)) == text


def test_an_unflushed_piece_waits() -> None:
    compressor = zlib.compressobj(wbits=31)
    decoder = decoder_for("gzip")
    assert decoder.feed(compressor.compress(b"data: a\n\n")) == b""
    assert decoder.feed(compressor.flush(zlib.Z_SYNC_FLUSH)) == b"data: a\n\n"


@given(st.lists(st.binary(max_size=20), max_size=6), st.lists(st.integers(0, 200), max_size=8))
def test_any_cut_of_any_members_gives_their_text(members: list[bytes], points: list[int]) -> None:
    decoder = Zlib()
    body = b"".join(gzip.compress(member, mtime=0) for member in members)
    assert b"".join(decoder.feed(piece) for piece in cut(body, points)) == b"".join(members)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "x-gzip", " GZIP "])
def test_garbage_is_a_value_error(coding: str) -> None:
    with pytest.raises(ValueError, match="not valid gzip or deflate"):
        decoder_for(coding).feed(b"data: not compressed\n\n")


def test_garbage_after_good_data_is_a_value_error() -> None:
    decoder = Zlib()
    assert decoder.feed(gzip.compress(b"a")) == b"a"
    with pytest.raises(ValueError, match="not valid"):
        decoder.feed(b"trailing garbage")


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_a_bomb_is_stopped_at_the_limit(piece: int) -> None:
    bomb = gzip.compress(bytes(200_000))
    decoder = Zlib(max_bytes=1000)
    out: list[bytes] = []
    with pytest.raises(LimitExceeded, match="more than 1,000 bytes"):
        out.extend(decoder.feed(bomb[at : at + piece]) for at in range(0, len(bomb), piece))
    assert len(b"".join(out)) <= 1000


def test_the_limit_spans_members() -> None:
    decoder = Zlib(max_bytes=1000)
    assert len(decoder.feed(gzip.compress(bytes(1000)))) == 1000
    with pytest.raises(LimitExceeded):
        decoder.feed(gzip.compress(b"x"))


@pytest.mark.parametrize("coding", [None, "", "identity", "Identity "])
def test_no_coding_passes_bytes_on(coding: str | None) -> None:
    decoder = decoder_for(coding)
    assert isinstance(decoder, Identity)
    assert decoder.feed(b"\x1f\x8b") == b"\x1f\x8b"


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br"])
def test_a_coding_that_cannot_be_undone_is_named(coding: str) -> None:
    with pytest.raises(ValueError, match=f"'{coding}' cannot be decoded"):
        decoder_for(coding)
