"""How long a record may take to decode: what is ordinary costs little, and what is crafted not much."""

import gc
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import orjson
import pytest

from schemas.decode import Headers, RefusedEventError, decode
from schemas.job_event import MAX_DEPTH, MAX_RECORD_BYTES
from tests.support.decoding import GOOD, TIMESTAMP, with_attributes, with_data, with_json

ROOM_BYTES = MAX_RECORD_BYTES - len(GOOD) - 100
REPETITIONS = 200
TRY_SECONDS = 0.01
MOST_SECONDS = 0.005  # a few times what it takes on a slow machine
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
URLS = ["http://example.net/" + "o" * 175] * 1000


@pytest.fixture(autouse=True)
def without_collections() -> Iterator[None]:
    """Keep the collector out of the measurement, as a projector does: it looks at everything that the tests hold."""
    gc.disable()
    yield
    gc.enable()


def seconds(run: Callable[[], object], times: int = 1, enough: float = 0, tries: int = 20) -> float:
    """Return how long it takes, by the processor's time and at its best; what is fast enough is not tried again.

    Tries are apart, for others may use the caches that both cores share.
    """
    best = float("inf")
    for _ in range(tries):
        if best < enough:
            break
        time.sleep(TRY_SECONDS)
        begin = time.process_time()
        for _ in range(times):
            run()
        best = min(best, (time.process_time() - begin) / times)
    return best


def decoding(value: bytes, headers: Headers = ()) -> Callable[[], None]:
    """Return what decodes a record, whether it is refused or not."""

    def run() -> None:
        with suppress(RefusedEventError):
            decode(value, headers, TIMESTAMP)

    return run


def parsing(value: bytes) -> Callable[[], None]:
    """Return what only parses a record, which every decoder must."""

    def run() -> None:
        with suppress(orjson.JSONDecodeError):
            orjson.loads(value)

    return run


def array(*items: bytes) -> bytes:
    """Return a whole record whose unknown member holds an array of these items, again and again."""
    unit = b"".join(item + b"," for item in items)
    return with_json("extra", b"[" + unit * (ROOM_BYTES // len(unit)) + b"1]")


def text(*parts: bytes) -> bytes:
    """Return a whole record whose unknown member holds a string of these parts, again and again."""
    unit = b"".join(parts)
    return with_json("extra", b'"' + unit * (ROOM_BYTES // len(unit)) + b'"')


def members(names: Iterable[bytes]) -> bytes:
    """Return a whole record whose unknown member holds an object with these names."""
    return with_json("extra", b"{" + b",".join(b'"' + name + b'":1' for name in names) + b"}")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(with_attributes(traceparent=TRACE), id="an extension attribute"),
        pytest.param(with_data(colour="red", size=[1, {"a": 2}]), id="members of the data"),
        pytest.param(with_data(message="", configlogURL=None, publishlogURL=None), id="members that are not given"),
        pytest.param(with_data(message='escaped "quotes" [and] {brackets}'), id="escapes"),
    ],
)
def test_what_is_ordinary_costs_little(value: bytes) -> None:
    """An event with members that we do not know, or that are not given, takes about as long as one without."""
    enough = 2 * seconds(decoding(GOOD), REPETITIONS)
    assert seconds(decoding(value), REPETITIONS, enough) < enough


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(with_data(outputsURL=[1] * 97_000), id="195 KB of faults"),
        pytest.param(with_data(outputsURL=[[[1]]] * 40_000), id="195 KB of nested faults"),
        pytest.param(with_data(outputsURL=[*URLS[1:], "ftp://a"]), id="195 KB with a fault at the end"),
        pytest.param(with_data(outputsURL=URLS, owner="alice"), id="195 KB with a fault at the beginning"),
        pytest.param(with_attributes(id=[1] * 97_000), id="numbers for an id"),
        pytest.param(with_attributes(id={f"member {number}": "x" for number in range(11_000)}), id="members of an id"),
        pytest.param(with_data(message={f"member {number}": 1 for number in range(13_000)}), id="members of a message"),
        pytest.param(with_data(message="x" * 195_000), id="195 KB of a message"),
        pytest.param(b"[" + b"[]," * 80_000 + b"[]]", id="240 KB of arrays"),
        pytest.param(array(b"[]"), id="arrays side by side"),
        pytest.param(array(b"{}"), id="objects side by side"),
        pytest.param(array(b"[" * (MAX_DEPTH - 2) + b"]" * (MAX_DEPTH - 2)), id="arrays as deep as they may be"),
        pytest.param(array(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH), id="arrays that are too deep"),
        pytest.param(text(rb"\""), id="escaped quotes"),
        pytest.param(text(rb"\\"), id="escaped backslashes"),
        pytest.param(text(rb"\u00e9[{"), id="escaped characters"),
        pytest.param(text("\U0001f600é\u4e2d[".encode()), id="characters of many bytes"),
        pytest.param(array(rb'"\"["'), id="short strings with escapes"),
        pytest.param(array(b'""'), id="empty strings"),
        pytest.param(array(b'"["', b"[]"), id="brackets in and out of strings"),
        pytest.param(with_json("extra", b"9" * ROOM_BYTES), id="digits"),
        pytest.param(with_json("extra", b"0." + b"9" * ROOM_BYTES), id="digits of a fraction"),
        pytest.param(array(b"1"), id="numbers"),
        pytest.param(array(b"1844674407370955161"), id="numbers of 19 digits"),
        pytest.param(array(b"18446744073709551615"), id="the largest number"),
        pytest.param(array(b"[18446744073709551615]"), id="the largest number in arrays"),
        pytest.param(array(b"0.12345678901234567890"), id="long fractions"),
        pytest.param(array(b'"12345678901234567890"'), id="digits in strings"),
        pytest.param(members(b"%05d" % number for number in range(25_000)), id="keys"),
        pytest.param(members(b"a" for _ in range(40_000)), id="the same key"),
        pytest.param(GOOD[:-2] + b',"message":"x"' * (ROOM_BYTES // 14) + b"}}", id="a known key again and again"),
        pytest.param(with_data(jobId="x" + " " * ROOM_BYTES), id="spaces in an identifier"),
        pytest.param(with_attributes(time="2020-10-01T01:00:00." + "0" * ROOM_BYTES + "Z"), id="digits of a time"),
        pytest.param(with_attributes(data=None, data_base64="A" * (ROOM_BYTES // 4 * 4)), id="base64"),
        pytest.param(GOOD + b" " * ROOM_BYTES, id="spaces at the end"),
    ],
)
def test_no_record_takes_long(value: bytes) -> None:
    """A record made to be slow takes little more than its parser: every other step is linear, and none in Python."""
    assert 190_000 < len(value) <= MAX_RECORD_BYTES
    enough = seconds(parsing(value), tries=5) + MOST_SECONDS
    assert seconds(decoding(value), enough=enough) < enough


def test_headers_do_not_take_long() -> None:
    """Ten thousand headers cost what reading them costs."""
    assert seconds(decoding(GOOD, [("CE_ID", b'"x"')] * 10_000), enough=MOST_SECONDS) < MOST_SECONDS
