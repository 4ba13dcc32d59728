"""Fields of an event: which ones must be there, and what each of them may hold."""

import unicodedata
from typing import Any

import orjson
import pytest

from schemas.decode import Reason, RefusedEventError, decode
from schemas.identity import MAX_ATTEMPT, MAX_IDENTIFIER_CHARACTERS, JobIdentity
from schemas.job_event import MAX_OUTPUTS, MAX_TEXT_CHARACTERS, NOT_GIVEN
from schemas.lifecycle import FINISHED, STAGES
from tests.support.decoding import GOOD, TIMESTAMP, accepted, good_event, refused, with_attributes, with_data, without

# Of a member that is text, and required.
WRONG_TYPES = [None, True, 1, 1.5, [], {}, [1], {"a": 1}]
LONGEST = "x" * MAX_IDENTIFIER_CHARACTERS
IDENTIFIERS = ["agreementId", "jobId"]


def test_an_event_is_understood() -> None:
    """The example of the contract comes out with each of its values in its place."""
    event = accepted(GOOD)
    assert event.identity == JobIdentity("0x1111", "0x2222", "3333", 1)
    assert event.stage is FINISHED
    assert event.time == "2020-10-01T01:00:00.000000"
    assert (event.source, event.id) == ("/workers/gpu-7", "3333-finished-1")
    assert event.details == {"outputsURL": ["http://example.net/logs/output/0", "http://example.net/logs/output/1"]}


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_each_stage_is_reported_by_its_type(stage: Any) -> None:
    """Each of the five types stands for its stage."""
    assert accepted(with_attributes(type=f"operator.job.{stage.name}")).stage is stage


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (("specversion",), Reason.NOT_AN_EVENT),
        (("id",), Reason.INVALID_FIELD),
        (("source",), Reason.INVALID_FIELD),
        (("type",), Reason.INVALID_FIELD),
        (("data",), Reason.INVALID_FIELD),
        (("data", "owner"), Reason.INVALID_FIELD),
        (("data", "agreementId"), Reason.INVALID_FIELD),
        (("data", "jobId"), Reason.INVALID_FIELD),
    ],
    ids=".".join,
)
def test_a_missing_required_field_is_refused_by_name(path: tuple[str, ...], reason: Reason) -> None:
    """An event without a field that it must have becomes a dead letter that names the field."""
    with pytest.raises(RefusedEventError) as caught:
        decode(without(*path), (), TIMESTAMP)
    assert caught.value.reason is reason
    assert path[-1] in str(caught.value)


@pytest.mark.parametrize("wrong", WRONG_TYPES, ids=repr)
@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        ("specversion", Reason.UNKNOWN_SPECVERSION),
        ("type", Reason.UNKNOWN_TYPE),
        ("id", Reason.INVALID_FIELD),
        ("source", Reason.INVALID_FIELD),
    ],
)
def test_an_attribute_of_a_wrong_type_is_refused(attribute: str, reason: Reason, wrong: Any) -> None:
    """Each required attribute is text and nothing else."""
    assert refused(with_attributes(**{attribute: wrong})) is reason


@pytest.mark.parametrize("wrong", [None, True, 1, 1.5, [], {}, [1], {"a": 1}, "text"], ids=repr)
def test_data_of_a_wrong_type_is_refused(wrong: Any) -> None:
    """The data are an object with an identity and nothing else."""
    assert refused(with_attributes(data=wrong)) is Reason.INVALID_FIELD


@pytest.mark.parametrize("wrong", WRONG_TYPES, ids=repr)
@pytest.mark.parametrize("member", ["owner", *IDENTIFIERS])
def test_a_required_member_of_a_wrong_type_is_refused(member: str, wrong: Any) -> None:
    """Each required member of the data is text and nothing else."""
    assert refused(with_data(**{member: wrong})) is Reason.INVALID_FIELD


@pytest.mark.parametrize("wrong", [wrong for wrong in WRONG_TYPES if wrong not in NOT_GIVEN], ids=repr)
@pytest.mark.parametrize("member", ["configlogURL", "publishlogURL", "algologURL", "message", "error"])
def test_an_optional_member_of_a_wrong_type_is_refused(member: str, wrong: Any) -> None:
    """Each optional member of text is text, unless it is not given."""
    assert refused(with_data(**{member: wrong})) is Reason.INVALID_FIELD


@pytest.mark.parametrize("attribute", ["id", "source", *IDENTIFIERS])
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("", id="empty"),
        pytest.param("  ", id="blank"),
        pytest.param("\u3000", id="ideographic space"),
        pytest.param(" 3333", id="padded before"),
        pytest.param("3333 ", id="padded behind"),
        pytest.param("3333\u00a0", id="padded by a no-break space"),
        pytest.param("33\n33", id="line break"),
        pytest.param("3333\n", id="line break at the end"),
        pytest.param("33\t33", id="tab"),
        pytest.param("33\0" + "33", id="NUL"),
        pytest.param("33\x1b[31m", id="terminal escape"),
        pytest.param("33\x7f33", id="DEL"),
        pytest.param("33\u008533", id="C1"),
        pytest.param(LONGEST + "x", id="257 characters"),
    ],
)
def test_an_identifier_out_of_bounds_is_refused(attribute: str, wrong: str) -> None:
    """Identifiers are 1 to 256 characters, without control characters and without spaces at their ends."""
    value = with_data(**{attribute: wrong}) if attribute in IDENTIFIERS else with_attributes(**{attribute: wrong})
    assert refused(value) is Reason.INVALID_FIELD


@pytest.mark.parametrize(
    "text", [*"{}:*?[]/%", "../..", "a b", "😀", "\u200d", LONGEST, "😀" * 256, "' OR 1=1--", "x@y"]
)
def test_an_identifier_of_any_printable_text_is_kept_as_it_is(text: str) -> None:
    """Signs that mean something to Redis, to a path or to a shell are plain text in an identifier."""
    identity = accepted(with_data(jobId=text, agreementId=text)).identity
    assert (identity.job_id, identity.agreement_id) == (text, text)


def test_composed_and_decomposed_text_stay_two() -> None:
    """The same word in NFC and in NFD is two identifiers: nothing is normalised."""
    words = {accepted(with_data(jobId=unicodedata.normalize(form, "é"))).identity.job_id for form in ("NFC", "NFD")}
    assert len(words) == 2


@pytest.mark.parametrize(
    "wrong", ["", "0x", "alice", "1111", "0x111g", " 0x1111", "0x1111\n", "0x１", "0x" + "1" * 255]
)
def test_an_owner_that_is_no_address_is_refused(wrong: str) -> None:
    """An owner is 0x and hexadecimal digits."""
    assert refused(with_data(owner=wrong)) is Reason.INVALID_FIELD


def test_letter_case_means_nothing_in_hex() -> None:
    """One owner and one agreement, however their hexadecimal digits are written; a jobId is taken as it is."""
    identities = {
        accepted(with_data(owner=text, agreementId=text, jobId="aB")).identity
        for text in ("0xAbCd", "0XABCD", "0xabcd")
    }
    assert identities == {JobIdentity("0xabcd", "0xabcd", "aB", 1)}
    assert accepted(with_data(agreementId="AbCd")).identity.agreement_id == "AbCd"


@pytest.mark.parametrize("wrong", [0, -1, 0.0, 1.5, 1e300, "1", "1.0", True, False, [1], {}, MAX_ATTEMPT + 1], ids=repr)
def test_an_attempt_that_is_no_counting_number_is_refused(wrong: Any) -> None:
    """An attempt is a whole number from 1."""
    assert refused(with_data(attempt=wrong)) is Reason.INVALID_FIELD


@pytest.mark.parametrize("text", [b"1.0", b"1e0", b"1E+0", b"10e-1"])
def test_an_attempt_may_be_written_as_a_fraction(text: bytes) -> None:
    """1.0 is an integer to JSON Schema, and the same attempt as 1."""
    event = accepted(GOOD.replace(b'"attempt":1', b'"attempt":' + text))
    assert event == accepted(GOOD)
    assert type(event.identity.attempt) is int


@pytest.mark.parametrize("text", [b"9223372036854775807.0", b"1e19", b"0.0", b"1.0000001"])
def test_a_fraction_that_is_no_counting_number_is_refused(text: bytes) -> None:
    """What a fraction says is held to the limits of an attempt."""
    assert refused(GOOD.replace(b'"attempt":1', b'"attempt":' + text)) is Reason.INVALID_FIELD


def test_an_attempt_beyond_64_bits_is_refused() -> None:
    """An attempt that a parser would round is refused."""
    assert refused(GOOD.replace(b'"attempt":1', b'"attempt":18446744073709551617')) is Reason.NUMBER_TOO_LARGE


def test_the_first_attempt_need_not_be_given() -> None:
    """Without an attempt it is the first; the largest possible one is kept exactly."""
    assert accepted(without("data", "attempt")).identity.attempt == 1
    assert accepted(with_data(attempt=MAX_ATTEMPT)).identity.attempt == 9223372036854775807


@pytest.mark.parametrize("wrong", ["operator.job.paused", "operator.job.", "Operator.job.started", "started", ""])
def test_an_unknown_type_is_refused(wrong: str) -> None:
    """An event of a stage that nobody knows becomes a dead letter, not another stage."""
    assert refused(with_attributes(type=wrong)) is Reason.UNKNOWN_TYPE


@pytest.mark.parametrize("wrong", ["0.3", "1.1", "1", "1.0 ", ""])
def test_an_unknown_specversion_is_refused(wrong: str) -> None:
    """Only CloudEvents 1.0 is understood."""
    assert refused(with_attributes(specversion=wrong)) is Reason.UNKNOWN_SPECVERSION


@pytest.mark.parametrize("extra", [None, True, 1, -1.5, "text", [], {}, [[]], {"owner": "0x9"}], ids=repr)
def test_unknown_members_are_kept_out(extra: Any) -> None:
    """Extension attributes and further members of the data change nothing, whatever they hold."""
    value = orjson.dumps(good_event() | {"traceparent": extra, "data": good_event()["data"] | {"colour": extra}})
    assert accepted(value) == accepted(GOOD)


def test_an_outcome_counts_on_the_last_stage_only() -> None:
    """How a job ended is known when it has ended; on an earlier stage it is an unknown member."""
    details = {"outcome": "failed", "error": "out of memory"}
    assert accepted(with_data(**details)).details.items() >= details.items()
    early = orjson.dumps(orjson.loads(with_data(outcome=5, error=[])) | {"type": "operator.job.running"})
    assert accepted(early).details.keys() == {"outputsURL"}


@pytest.mark.parametrize(
    ("member", "wrong"),
    [
        ("outcome", "won"),
        ("outcome", "Failed"),
        ("outcome", 1),
        ("outcome", ["failed"]),
        ("error", ["x"]),
        ("error", 1),
    ],
)
def test_a_wrong_outcome_is_refused(member: str, wrong: Any) -> None:
    """A job has succeeded, failed or been cancelled; an error is text."""
    assert refused(with_data(**{member: wrong})) is Reason.INVALID_FIELD


@pytest.mark.parametrize("member", ["message", "error"])
def test_text_has_a_limit(member: str) -> None:
    """A remark has at most a thousand characters, counted as characters."""
    longest = "ä" * MAX_TEXT_CHARACTERS
    assert accepted(with_data(**{member: longest})).details[member] == longest
    assert refused(with_data(**{member: longest + "ä"})) is Reason.INVALID_FIELD


@pytest.mark.parametrize(
    "wrong", [{}, "http://a/", 1, True, [None], [""], [1], ["http://a/", "ftp://a/"], [["http://a/"]], [[]]], ids=repr
)
def test_outputs_that_are_no_list_of_urls_are_refused(wrong: Any) -> None:
    """Outputs are a list of URLs and of nothing else."""
    assert refused(with_data(outputsURL=wrong)) is Reason.INVALID_FIELD


def test_outputs_have_a_limit() -> None:
    """A job has at most a thousand outputs."""
    most = ["http://example.net/o"] * MAX_OUTPUTS
    assert accepted(with_data(outputsURL=most)).details["outputsURL"] == most
    assert refused(with_data(outputsURL=[*most, most[0]])) is Reason.INVALID_FIELD
