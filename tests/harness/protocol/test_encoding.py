"""Content codings undone piece by piece, and bounded."""

import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import LimitExceeded
from streamgauge.protocol.encoding import Brotli, Identity, Zlib, Zstd, decoder_for
from tests.builders.encoding import encoder
from tests.builders.tapes import cut

CODINGS = ("gzip", "deflate", "br", "zstd")
PIECES = st.lists(st.binary(min_size=1, max_size=30), max_size=6)


@pytest.mark.parametrize("coding", CODINGS)
def test_a_flushed_piece_is_decoded_when_it_comes(coding: str) -> None:
    compress, finish = encoder(coding)
    decoder = decoder_for(coding)
    for text in (b"data: Hel\n\n", b"data: lo\n\n"):
        assert decoder.feed(compress(text)) == text
    assert decoder.feed(finish()) == b""


@pytest.mark.parametrize("coding", CODINGS)
@given(pieces=PIECES, points=st.lists(st.integers(0, 300), max_size=8))
def test_any_cut_gives_the_text_and_each_flushed_piece_with_the_bytes_that_complete_it(
    coding: str, pieces: list[bytes], points: list[int]
) -> None:
    compress, finish = encoder(coding)
    flushed = [compress(piece) for piece in pieces]
    body = b"".join([*flushed, finish()])
    decoder = decoder_for(coding)
    coded, text = b"", b""
    for part in cut(body, points):
        coded += part
        text += decoder.feed(part)
        whole = [piece for n, piece in enumerate(pieces) if len(b"".join(flushed[: n + 1])) <= len(coded)]
        begun = len(whole) + 1 if len(coded) > len(b"".join(flushed[: len(whole)])) else len(whole)
        assert b"".join(pieces[:begun]).startswith(text), "text that the bytes so far cannot hold"
        assert text.startswith(b"".join(whole)), "text was held back that had been flushed"
    assert text == b"".join(pieces)


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


@pytest.mark.parametrize("coding", ["gzip", "deflate", "x-gzip", " GZIP ", "br", "zstd"])
def test_garbage_is_a_value_error(coding: str) -> None:
    with pytest.raises(ValueError, match=r"not valid (gzip or deflate|br|zstd)"):
        decoder_for(coding).feed(b"data: not compressed\n\n")


@pytest.mark.parametrize(
    ("decoder", "coded"),
    [(Zlib(), gzip.compress(b"a")), (Brotli(), brotli.compress(b"a")), (Zstd(), zstandard.compress(b"a"))],
    ids=["gzip", "br", "zstd"],
)
def test_garbage_after_good_data_is_a_value_error(decoder: Zlib | Brotli | Zstd, coded: bytes) -> None:
    assert decoder.feed(coded) == b"a"
    with pytest.raises(ValueError, match="not valid"):
        decoder.feed(b"trailing garbage")


BOMBS: dict[type[Zlib | Brotli | Zstd], bytes] = {
    Zlib: gzip.compress(bytes(200_000)),
    Brotli: brotli.compress(bytes(200_000)),
    Zstd: zstandard.compress(bytes(200_000)),
}


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize("kind", BOMBS, ids=lambda kind: kind.__name__)
def test_a_bomb_is_stopped_at_the_limit(kind: type[Zlib | Brotli | Zstd], piece: int) -> None:
    bomb = BOMBS[kind]
    decoder = kind(max_bytes=1000)
    out: list[bytes] = []
    with pytest.raises(LimitExceeded, match="more than 1,000 bytes"):
        out.extend(decoder.feed(bomb[at : at + piece]) for at in range(0, len(bomb), piece))
    assert len(b"".join(out)) <= 1000


def test_a_zstd_frame_that_wants_more_memory_than_http_allows_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(ValueError, match="not valid zstd"):
        Zstd().feed(stream.compress(b"a") + stream.flush())


def test_zstd_frames_in_a_row_are_one_text() -> None:
    assert Zstd().feed(zstandard.compress(b"a") + zstandard.compress(b"b")) == b"ab"


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


@pytest.mark.parametrize("coding", ["compress", "dcb", "gzip, br"])
def test_a_coding_that_cannot_be_undone_is_named(coding: str) -> None:
    with pytest.raises(ValueError, match=f"'{coding}' cannot be decoded"):
        decoder_for(coding)
