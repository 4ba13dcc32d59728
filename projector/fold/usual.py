"""Usual events, folded as they are parsed: the same as `decode` and `Batch.add` make of them, in less time.

A call and a value for each step of the longer way cost a fifth of what decoding and folding took. What is usual is what
`usual_event` says, less what needs a second look; whatever else there is takes the longer way, which judges it.
"""

from typing import Final

from projector.fold.batch import Batch, BatchedJob
from projector.fold.record import Record
from schemas.decode import USUAL_HEADERS
from schemas.event_time import LATEST_MILLISECONDS, MAX_AHEAD, usual_second, usual_time
from schemas.identity import JobIdentity, canonical_hex
from schemas.job_event import DEFAULT_ATTEMPT
from schemas.lifecycle import STAGE_BY_EVENT_TYPE
from schemas.registers import OFFSET_LETTERS, detail_stamp
from schemas.usual_event import Row, parsed, usual_details, usual_owner

# By stages' types: their names, and their codes.
_BY_TYPE: Final = {event_type: (stage.name, stage.code) for event_type, stage in STAGE_BY_EVENT_TYPE.items()}
# A second that begins so long after a record's timestamp ends within what is allowed.
_SURELY_ALLOWED_MILLISECONDS: Final = int(MAX_AHEAD.total_seconds() - 1) * 1000
_SECOND_CHARACTERS: Final = len("2020-10-01T01:00:00")
row: Final = Row()


def add_usual(batch: Batch, span_index: int, partition: str, record: Record) -> bool:
    """Join a record's event in when it is a usual one; tell whether it was, for otherwise nothing has changed."""
    if record.headers is not USUAL_HEADERS or not record.value or (row.length and not row.is_to_try()):
        return False
    is_usual = _add(batch, span_index, partition, record, record.value)
    if row.length or not is_usual:
        row.note(is_usual=is_usual)
    return is_usual


def _add(batch: Batch, span_index: int, partition: str, record: Record, value: bytes) -> bool:
    event = parsed(value)
    if event is None or not (text := event.time):
        return False
    data, timestamp = event.data, record.timestamp
    second, time = usual_second(text[:_SECOND_CHARACTERS]), usual_time(text)
    if second is None or not time or data.outcome or data.error or not 0 <= timestamp <= LATEST_MILLISECONDS:
        return False
    delay = timestamp - second * 1000
    if delay < -_SURELY_ALLOWED_MILLISECONDS:
        return False
    try:
        details = usual_details(data)
    except ValueError:
        return False
    identity = (data.owner, data.agreementId, data.jobId, data.attempt or DEFAULT_ATTEMPT)
    # As it is written, it is nearly always as a job's is that is known: then nothing is to be looked at.
    known = batch.by_identity.get(identity) or _begun(batch, *identity)
    if known is None:
        return False
    event_id, (name, code) = event.id, _BY_TYPE[event.type]
    offset, sign = str(record.offset), "+" if delay >= 0 else ""
    # What `stage_register` and `record_text` write, at once.
    place = f"{partition}/{OFFSET_LETTERS[len(offset)]}{offset}{sign}{delay}"
    register = f"{time}\t{event.source}\t{event_id}\t{place}"
    stamp = detail_stamp(code, time, event_id) if details else ""
    batch.sent_characters += known.job.keep(name, register, stamp, details)
    events = known.events
    events[span_index] = events.get(span_index, 0) + 1
    return True


def _begun(batch: Batch, owner: str, agreement_id: str, job_id: str, attempt: int) -> BatchedJob | None:
    """Return the job of the batch that is written so, a new one if need be; None when its owner is not a usual one."""
    lower = usual_owner(owner)
    if lower is None:
        return None
    identity = JobIdentity(lower, canonical_hex(agreement_id), job_id, attempt)
    return batch.by_identity.get(identity) or batch.begin(identity)
