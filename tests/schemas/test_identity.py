"""Who a job is: one way to write it, short names that sort, buckets that stay."""

import re
import string
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import MAX_ATTEMPT, JobIdentity, bucket_of, canonical_hex, job_digest, job_member

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)
JOBS = st.tuples(TEXT, TEXT, TEXT)
ATTEMPTS = st.integers(1, MAX_ATTEMPT) | st.sampled_from([9, 10, 99, 100, MAX_ATTEMPT])
BASE64 = frozenset(string.ascii_letters + string.digits + "+/")
BUCKETS = st.integers(1, 1000)


def member(job: tuple[str, str, str], attempt: int = 1) -> str:
    """Return the member of an attempt of a job."""
    return job_member(JobIdentity(*job, attempt))


@given(JOBS, ATTEMPTS, ATTEMPTS)
def test_members_of_a_job_sort_by_attempt(job: tuple[str, str, str], one: int, other: int) -> None:
    """Compared as bytes, the members of a job's attempts are in the order of the attempts."""
    first, second = member(job, one).encode(), member(job, other).encode()
    assert (first < second) == (one < other)
    assert (first == second) == (one == other)


@given(JOBS, ATTEMPTS)
def test_a_member_begins_with_the_digest(job: tuple[str, str, str], attempt: int) -> None:
    """The member names the job by its digest, in few characters that mean nothing to Redis."""
    assert member(job, attempt).startswith(job_digest(*job))
    assert BASE64.issuperset(member(job, attempt))
    assert len(member(job, attempt)) <= 42


@given(JOBS, JOBS)
def test_other_jobs_have_other_members(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    """Two jobs share a member only when they are the same job."""
    assert (member(one) == member(other)) == (one == other)


@given(TEXT, TEXT, TEXT)
def test_parts_of_an_identity_do_not_run_together(owner: str, agreement_id: str, job_id: str) -> None:
    """Moving a character from one identifier to the next gives another job."""
    assert job_digest(owner + "x", agreement_id, job_id) != job_digest(owner, "x" + agreement_id, job_id)
    assert job_digest(owner, agreement_id + "x", job_id) != job_digest(owner, agreement_id, "x" + job_id)


@given(JOBS, ATTEMPTS, BUCKETS)
def test_every_attempt_of_a_job_is_in_one_bucket(job: tuple[str, str, str], attempt: int, buckets: int) -> None:
    """The bucket follows from the job alone, by its digest or any of its members."""
    assert bucket_of(member(job, attempt), buckets) == bucket_of(job_digest(*job), buckets)
    assert 0 <= bucket_of(job_digest(*job), buckets) < buckets


@pytest.mark.parametrize("buckets", [2, 3, 8, 16, 64])
def test_buckets_are_even(buckets: int) -> None:
    """No bucket holds much more than its share, for powers of two as for other numbers."""
    jobs = 500 * buckets
    sizes = Counter(bucket_of(job_digest("0x1111", "0x2222", str(job)), buckets) for job in range(jobs))
    assert len(sizes) == buckets
    assert min(sizes.values()) > 350
    assert max(sizes.values()) < 650


def test_names_and_buckets_stay_as_they_are() -> None:
    """Projections that exist are found again by a later version: a change of these needs a rebuild."""
    job = ("0x1111", "0x2222", "3333")
    assert member(job) == "aq0x+JZL9f8GFiu6mCVUQga1"
    assert [bucket_of(member(job), buckets) for buckets in (1, 2, 16, 1000)] == [0, 1, 3, 435]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0xABcd", "0xabcd"),
        ("0XABCD", "0xabcd"),
        ("0xabcd", "0xabcd"),
        ("ABcd", "ABcd"),
        ("0x", "0x"),
        ("0X", "0X"),
        ("0xABg", "0xABg"),
        ("0xAB\n", "0xAB\n"),
        (" 0xAB", " 0xAB"),
        ("0xAB cd", "0xAB cd"),
        ("0xÄB", "0xÄB"),
        ("", ""),
    ],
)
def test_only_hex_is_written_in_lower_case(text: str, canonical: str) -> None:
    """Letter case means nothing in 0x and hexadecimal digits, and something in any other text."""
    assert canonical_hex(text) == canonical
    assert canonical_hex(canonical) == canonical


@given(st.text("0xX1aAfFgG \n"))
def test_hex_is_hex_in_any_case(text: str) -> None:
    """What is hex stays hex in lower case, and what is not stays as it is."""
    is_hex = re.fullmatch("0[xX][0-9a-fA-F]+", text) is not None
    assert canonical_hex(text) == (text.lower() if is_hex else text)


def test_attempts_are_in_order_across_digits() -> None:
    """9, 10, 99, 100 and the largest attempt sort in this order, as numbers do and their texts do not."""
    members = [member(("0x1", "a", "b"), attempt) for attempt in (1, 2, 9, 10, 11, 99, 100, 1000, MAX_ATTEMPT)]
    assert all(one < other for one, other in pairwise(members))
