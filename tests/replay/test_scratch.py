"""The temporary file of a verify takes what is said beforehand."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from aiokafka import ConsumerRecord

from projector.fold.record import Record
from projector.replay.verify.facts import unpacked
from projector.replay.verify.parallel.processes import processes
from projector.replay.verify.replayed_log import Offsets, ReplayedLog, SkippedRanges
from projector.replay.verify.scratch import SCRATCH_BYTES_PER_JOB, scratch
from projector.replay.verify.second_fold import SecondFold
from projector.replay.verify.stored_form import index_keys
from projector.replay.verify.walk import SpooledKeys
from projector.settings import ProjectorSettings
from schemas.redis_layout import JOB, bucket_prefix
from worker.simulation import Mix, events

JOBS = 3_000
POLLED = 1_000
PREFIX = "operator"
# What is said may be more than it takes, but not much.
LEAST_SHARE = 0.75


class SimulatedLog(ReplayedLog):
    """A log of simulated jobs, of which some have their events in several parts."""

    async def advance(
        self,
        to: Offsets,  # noqa: ARG002 - all of it
        skipped: SkippedRanges,  # noqa: ARG002 - as above
    ) -> AsyncIterator[tuple[str, Sequence[Record]]]:
        """Yield all of it."""
        simulated = events(seed=1, jobs=JOBS, mix=Mix(rate=1000, pace_seconds=0.5, failures=0))
        records = [
            ConsumerRecord("t", 0, offset, 1_790_000_000_000, 0, one.key, one.value, None, 0, 0, tuple(one.headers))
            for offset, one in enumerate(simulated)
        ]
        for at in range(0, len(records), POLLED):
            yield "t/0", records[at : at + POLLED]


async def test_a_job_takes_what_is_said_beforehand(tmp_path: Path) -> None:
    """Facts of a typical job and the names of its keys take no more of the disk than was asked for, nor much less."""
    base = bucket_prefix(PREFIX, 1, 0)
    with scratch(tmp_path) as place, processes(0, 0) as beside:
        keys = SpooledKeys(place.database, PREFIX, 1)
        log = SimulatedLog(ProjectorSettings.load({}), {})
        fold = SecondFold(log, place.database, 1, beside)
        await fold.advance({}, {})
        assert fold.last_number == JOBS

        async def found() -> AsyncIterator[tuple[int, list[bytes]]]:
            for member, job in place.database.execute("select member, job from jobs").fetchall():
                names = [JOB + member.decode(), *index_keys(unpacked(job).identity)]
                yield 0, [(base + name).encode() for name in names]

        await keys.take(found())
        await log.stop()
        taken = sum(path.stat().st_size for path in place.directory.iterdir())
    assert LEAST_SHARE * SCRATCH_BYTES_PER_JOB < taken / JOBS <= SCRATCH_BYTES_PER_JOB
