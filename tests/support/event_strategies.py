"""Events that are nearly right, and what JSON can hold, for laws of decoding."""

from typing import Any

from hypothesis import strategies as st

from schemas.job_event import DETAILS, FINISHED_DETAILS
from schemas.lifecycle import STAGES
from tests.support.decoding import good_event

SIXTY_FOUR_BITS = range(-(2**63), 2**64)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INTEGERS = st.integers(-(2**63), 2**64 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXT, children, max_size=3),
    max_leaves=8,
)
ATTRIBUTES = ["specversion", "id", "source", "type", "time", "datacontenttype", "data", "extension"]
MEMBERS = ["owner", "agreementId", "jobId", "attempt", *DETAILS, *FINISHED_DETAILS, "extension"]
TYPES = st.sampled_from([stage.event_type for stage in STAGES])
TIMES = st.datetimes(timezones=st.timezones() | st.none()).map(lambda moment: moment.isoformat())
URLS = st.sampled_from(["http://a", "https://b/c?d=e", "HTTP://A", "http://u:p@a", "ftp://a", "http://a b"])
VALUES = (
    JSON | TYPES | TIMES | URLS | st.lists(URLS) | st.sampled_from(["0xAb", "1.0", 1, 2**63, "failed", " a", "a\n"])
)


@st.composite
def changed_events(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the good event with one or two of its attributes and members replaced or removed."""
    event = good_event()
    places = [(event["data"], MEMBERS), (event, ATTRIBUTES)]
    for _ in range(draw(st.integers(1, 2))):
        holder, names = draw(st.sampled_from(places))
        name = draw(st.sampled_from(names))
        if draw(st.integers(0, 4)):
            holder[name] = draw(VALUES)
        else:
            holder.pop(name, None)
    return event


def depth_of(value: Any) -> int:
    """Return how deep a value is nested, by looking at the value."""
    children = value.values() if isinstance(value, dict) else value
    return 1 + max(map(depth_of, children), default=0) if isinstance(value, dict | list) else 0


def has_large(value: Any) -> bool:
    """Tell whether an integer in the value is beyond 64 bits, by looking at the value."""
    if isinstance(value, dict | list):
        return any(map(has_large, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and not isinstance(value, bool) and value not in SIXTY_FOUR_BITS
