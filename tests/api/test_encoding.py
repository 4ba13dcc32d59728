"""Encodings and entity tags, as clients write them."""

import gzip as standard
import zlib

import pytest

from api.web.encoding import Compressor, accepts_gzip, etag_of, gzip, has_etag


@pytest.mark.parametrize(
    "header", ["gzip", "GZip", "gzip, deflate, br", "br;q=1.0, gzip;q=0.5", "*", "*;q=0.1", "x-gzip", " gzip ; q=1 "]
)
def test_gzip_is_accepted(header: str) -> None:
    """A client that names gzip, or anything, gets gzip."""
    assert accepts_gzip(header)


@pytest.mark.parametrize(
    "header",
    ["", "identity", "br", "gzip;q=0", "gzip;q=0.000", "*;q=0", "gzip;Q=0, *", "gzipped", "identity, gzip;q=0.0"],
)
def test_gzip_is_not_accepted(header: str) -> None:
    """A client that does not name gzip, or refuses it, does not get it."""
    assert not accepts_gzip(header)


@pytest.mark.parametrize("header", ['"a"', 'W/"a"', '"x", "a"', 'W/"x",W/"a" , "y"', "*", ' "a"'])
def test_a_known_tag_is_recognised(header: str) -> None:
    """A tag is found alone, in a list and in its weak form, and a star is any tag."""
    assert has_etag(header, '"a"')


@pytest.mark.parametrize("header", ["", "a", '"b"', '"aa"', '"a', "W/a", '"a-gzip"', '"*"'])
def test_another_tag_is_not_recognised(header: str) -> None:
    """Something else is not taken for the tag."""
    assert not has_etag(header, '"a"')


def test_each_encoding_has_its_own_strong_tag() -> None:
    """A tag is quoted, not weak, differs by body and by encoding, and is the same for the same body."""
    tags = {etag_of(body, is_gzip=is_gzip) for body in (b"[]", b"[1]") for is_gzip in (False, True)}
    assert len(tags) == 4
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags)
    assert etag_of(b"[]", is_gzip=True) == etag_of(b"[]", is_gzip=True)


async def test_the_same_body_makes_the_same_gzip() -> None:
    """Compressing is repeatable, whole or in pieces, so that a tag stands for one sequence of bytes."""
    body = b'{"owner":"0x1111"}' * 1000
    assert gzip(body) == gzip(body)
    assert standard.decompress(gzip(body)) == body
    pack = Compressor()
    pieces = await pack.add(body[:500]) + await pack.add(body[500:] * 10) + pack.end()
    assert zlib.decompress(pieces, wbits=31) == body[:500] + body[500:] * 10
