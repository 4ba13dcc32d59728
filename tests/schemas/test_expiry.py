"""When a job's last news is too old."""

import pytest

from schemas.expiry import has_news_since, is_expired
from schemas.redis_layout import STORED_FIELDS

CUTOFF = "2020-10-01T01:00:00.000000"
BEFORE, AFTER = "2020-10-01T00:59:59.999999", "2020-10-01T01:00:00.000001"


def stage(time: str) -> str:
    """Return the register of a stage."""
    return f"{time}\t/workers/gpu-7\te1\tt/0/7"


def detail(time: str, code: str = "05") -> str:
    """Return the register of a detail."""
    return f"{code}\t{time}\te1\tvalue"


@pytest.mark.parametrize(("time", "is_news"), [(BEFORE, False), (CUTOFF, True), (AFTER, True)])
def test_news_at_the_cutoff_or_later_keeps_a_job(time: str, *, is_news: bool) -> None:
    """The greatest time of any register decides, of stages as of details, to the microsecond."""
    assert has_news_since(CUTOFF, [stage(BEFORE), stage(time)], []) is is_news
    assert has_news_since(CUTOFF, [stage(time), stage(BEFORE)], [detail(BEFORE)]) is is_news
    assert has_news_since(CUTOFF, [stage(BEFORE)], [detail(BEFORE), detail(time, "01")]) is is_news


def test_a_stored_job_is_judged_by_its_registers_alone() -> None:
    """Neither the identity nor what stands behind the registers, score and member, is taken for news."""
    registers = {"started": stage(BEFORE), "algologURL": detail(BEFORE)}
    identity = dict.fromkeys(("owner", "agreementId", "jobId"), AFTER)
    fields = {**identity, "attempt": "1", **registers}
    row = [fields[name].encode() if name in fields else None for name in STORED_FIELDS]
    assert is_expired([*row, b"-1601514000", AFTER.encode()], CUTOFF.encode())
    assert not is_expired([*row, b"-1601514000", b"member"], BEFORE.encode())
    assert is_expired([None] * len(STORED_FIELDS), CUTOFF.encode())
