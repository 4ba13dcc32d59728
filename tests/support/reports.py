"""Reports of one job in any order, with repetitions, equal times and ids that begin alike, for laws of the fold."""

from hypothesis import strategies as st

from schemas.identity import JobIdentity
from schemas.job_event import JobEvent
from schemas.lifecycle import STAGES

IDENTITY = JobIdentity("0x1111", "0x2222", "3333", 1)

_TEXT = st.text('ab \u00e9\U0001f600"\\', max_size=3)
_MOMENTS = st.sampled_from([f"2020-10-01T01:00:0{n}.{f}" for n in range(3) for f in ("000000", "000001", "999999")])
_DETAILS = st.fixed_dictionaries(
    {},
    optional={
        "configlogURL": st.sampled_from(["http://a", "http://b"]),
        "outputsURL": st.lists(st.sampled_from(["http://a", "http://b"]), max_size=2),
        "message": _TEXT,
    },
)
EVENTS = st.builds(
    JobEvent,
    identity=st.just(IDENTITY),
    stage=st.sampled_from(STAGES),
    time=_MOMENTS,
    source=st.sampled_from(["/w/1", "/w/2"]),
    id=st.sampled_from(["a", "a b", "ab", "b"]),
    details=_DETAILS,
)
REPORTS = st.lists(
    st.tuples(EVENTS, st.sampled_from(["t/0/1", "t/0/2+5", "t/0/2-70", "t/1/1+1000"])), min_size=1, max_size=12
)
