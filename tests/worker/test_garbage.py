"""The kinds of garbage, one by one."""

import orjson
import pytest

from operator_status.event import HEADERS
from schemas.decode import Reason, RefusedEventError, decode
from schemas.job_event import EXAMPLE
from worker.garbage import GARBAGE

VALUE = orjson.dumps(EXAMPLE)
SENT_AT = 1_700_000_000_000


def test_the_untouched_event_is_good() -> None:
    """What is spoilt was understood before, so a refusal is about the kind's own fault."""
    assert decode(VALUE, HEADERS, SENT_AT).identity.job_id == "3333"


@pytest.mark.parametrize("kind", GARBAGE)
def test_each_kind_is_refused_for_its_reason(kind: str) -> None:
    """A spoilt event is refused, with the reason that its kind announces."""
    value, headers = GARBAGE[kind].spoil(VALUE)
    with pytest.raises(RefusedEventError) as refusal:
        decode(value, headers, SENT_AT)
    assert refusal.value.reason is GARBAGE[kind].reason


def test_every_reason_has_a_kind() -> None:
    """Every reason for a dead letter can be provoked, but for the one that needs a record without a timestamp."""
    assert {garbage.reason for garbage in GARBAGE.values()} == set(Reason) - {Reason.NO_TIME}
