"""The query string: what is understood, and which sentence refuses the rest."""

from urllib.parse import parse_qs, quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.asking.applied import AFTER
from api.asking.errors import BadQueryError
from api.asking.query import NO_FILTER, PARAMETERS, parse_query
from api.projection.lookup import Place

IDENTIFIERS = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=256)


def refusal(raw: str) -> str:
    """Return the sentence that refuses a query."""
    with pytest.raises(BadQueryError) as caught:
        parse_query(raw)
    return str(caught.value)


@pytest.mark.parametrize("raw", ["", "limit=1", "Owner=0x1", "unknown=%ff", "owner"[:0] + "&&&", "after=1&from=2"])
def test_a_query_without_a_filter_gets_the_contracts_own_sentence(raw: str) -> None:
    """Whoever gives none of the three filters is told so in the words of the contract."""
    assert refusal(raw) == NO_FILTER == "You have to specify one of agreementId, jobId or owner"


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("", "empty"),
        ("%", "percent-encoded"),
        ("%zz", "percent-encoded"),
        ("%ff", "UTF-8"),
        ("%ed%a0%80", "UTF-8"),
        ("%c0%af", "UTF-8"),
        ("\udcff", "UTF-8"),
        ("%00", "control"),
        ("a%0d%0ab", "control"),
        ("%c2%85", "control"),
        ("a" * 257, "longer"),
        ("%c3%a4" * 257, "longer"),
    ],
)
def test_a_known_parameter_that_is_malformed_is_refused_by_name(name: str, value: str, fault: str) -> None:
    """A known parameter that is empty, too long, undecodable or has control characters is refused by its name."""
    sentence = refusal(f"owner=0x1&{name}={value}" if name != "owner" else f"jobId=1&owner={value}")
    assert sentence.startswith(f"{name}: ")
    assert fault in sentence


@pytest.mark.parametrize("name", sorted(set(PARAMETERS) - {AFTER}))
def test_a_known_parameter_given_twice_is_refused(name: str) -> None:
    """A known parameter given twice is refused by its name, also when its name is percent-encoded once."""
    assert refusal(f"{name}=1&{name}=1") == f"{name}: given twice"
    assert refusal(f"{name}=1&%{ord(name[0]):02x}{name[1:]}=1") == f"{name}: given twice"


@pytest.mark.parametrize(
    "raw",
    ["x=%ff&owner=0x1", "x&owner=0x1", "%ff=1&owner=0x1", "x=1&x=2&owner=0x1", "OWNER=2&owner=0x1", "&&owner=0x1"],
)
def test_unknown_parameters_are_ignored_whatever_they_hold(raw: str) -> None:
    """A parameter nobody knows changes nothing, undecodable or repeated."""
    assert parse_query(raw).search.indexes == ("owner:0x1",)


@pytest.mark.parametrize(
    "limit", ["0", "-1", "+1", "1001", "1e3", "1000000000", "0x10", "1.0", "%20 1", "%EF%BC%95", "9" * 200]
)
def test_a_limit_outside_its_range_or_not_in_plain_digits_is_refused(limit: str) -> None:
    """A limit is 1 to 1000 in ASCII digits, nothing else."""
    assert refusal(f"owner=0x1&limit={limit}") == "limit: a whole number from 1 to 1000"


@pytest.mark.parametrize(
    "as_of",
    ["yesterday", "2020-10-01", "2020-10-01T01:00:00", "2020-10-01T24:00:00Z", "2020-02-30T00:00:00Z", "1601514000",
     "2020-10-01T01:00:00+02:00", "0000-01-01T00:00:00Z", "2020-10-01T01:00:00Z%0a"],
)  # fmt: skip
def test_an_as_of_that_is_no_time_is_refused(as_of: str) -> None:
    """`asOf` is an RFC 3339 time of the calendar; a plus sign that was not encoded is a space and so refused."""
    assert refusal(f"owner=0x1&asOf={as_of}").startswith("asOf: ")


def test_as_of_is_the_end_of_its_second_and_skips_what_was_created_later() -> None:
    """`asOf` counts to the end of the second, in UTC, and the list begins at that second."""
    query = parse_query("owner=0x1&asOf=2020-10-01T03:00:00.25%2B02:00")
    assert query.as_of == "2020-10-01T01:00:00.999999"
    assert query.search.after == Place(-1601514000, "")


def test_filters_are_in_their_canonical_form() -> None:
    """Owner and 0x-hex agreement match whatever their letter case, the job exactly."""
    query = parse_query("owner=0xABCD&agreementId=0XEF&jobId=Job-A")
    assert query.search.indexes == ("owner:0xabcd", "agreement:0xef", "jobid:Job-A")
    assert parse_query("agreementId=Contract-A").search.indexes == ("agreement:Contract-A",)


def test_plus_is_a_space_and_percent_2b_a_plus() -> None:
    """`+` is a space, `%2B` a plus, and UTF-8 may come encoded or not."""
    assert parse_query("jobId=a+b%2Bc").job_id == "a b+c"
    assert parse_query("jobId=%C3%A4ö").job_id == "äö"


@given(IDENTIFIERS, st.sampled_from([quote, quote_plus]))
def test_every_identifier_comes_through(identifier: str, encode: type) -> None:
    """Whatever a worker may call a job, it can be asked for."""
    assert parse_query("jobId=" + encode(identifier, safe="")).job_id == identifier


@given(st.text(max_size=300))
def test_any_text_is_understood_or_refused(raw: str) -> None:
    """Whatever is sent, the answer is a query or a refusal."""
    try:
        query = parse_query(raw.encode(errors="surrogatepass").decode(errors="surrogateescape"))
    except BadQueryError:
        return
    assert query.search.indexes


@given(IDENTIFIERS)
def test_the_next_page_asks_the_same(identifier: str) -> None:
    """The link to the next page has the same parameters, and goes on where this page ended."""
    query = parse_query(f"jobId={quote(identifier, safe='')}&owner=0xA&limit=5&dates=unix&x=1")
    after = Place(-1601514000, "ab+/cd")
    following = parse_query(query.going_on(after))
    assert following[:6] == query[:6]
    assert following.search.after == after
    assert set(parse_qs(query.going_on(after))) == {"jobId", "owner", "limit", "dates", "cursor"}
