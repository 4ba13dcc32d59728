"""When what is told was recorded in the log: the newest report of a row that nobody was told of before."""

from api.projection.lookup import Row
from api.projection.standing import Offsets
from schemas.job_status import STAGE_REGISTERS
from schemas.registers import place_in, recorded_milliseconds, stage_parts


def newest_recorded(row: Row, told: Offsets) -> int | None:
    """Return when the newest report of a row at or after these positions was recorded, in Unix milliseconds.

    None when the row has none, or Kafka does not say when. What is before them was told earlier, and only comes along.
    """
    newest = None
    for register in row[STAGE_REGISTERS]:
        if register is None:
            continue
        time, _, _, record = stage_parts(register)
        partition, _, offset = place_in(record).rpartition("/")
        if int(offset) < told.get(partition.encode(), 0):
            continue
        recorded = recorded_milliseconds(record, time)
        if recorded is not None and (newest is None or recorded > newest):
            newest = recorded
    return newest
