"""Refusals: records that the live generation accepted and the new one does not, for its rules are stricter, or wrong.

Nobody has written a letter about these. Both generations count in their ledgers what became dead letters, and stand at
the same positions when they are compared; what was passed over by command is no record that was refused.
"""

from collections.abc import Mapping

from projector.replay.generations.change import Change
from projector.store.catalog import State
from projector.store.generation import Skipped
from schemas.redis_layout import KeptGeneration, Pointer
from service.errors import CommandError


class RefusalsError(CommandError):
    """Records are refused that were accepted before."""


async def require_known_refusals(change: Change, live: Pointer, target: KeptGeneration) -> None:
    """Raise RefusalsError when the target has refused more records of a partition than the live generation."""
    state = await change.catalog.read()
    accepted = await _refused(change, live, state, state.starts)
    refused = await _refused(change, target.pointer, state, target.starts)
    new = {name: count - accepted.get(name, 0) for name, count in refused.items()}
    told = [f"{count} of {name}" for name, count in new.items() if count > 0]
    if told:
        raise RefusalsError(
            f"records that the live generation accepted are refused now ({', '.join(told)}), so nothing was switched: "
            "this release is stricter, or wrong; `python -m projector verify` names the jobs that would change, and "
            "`rebuild --accept-refusals` switches all the same and writes a dead letter about each record it refuses"
        )


async def _refused(change: Change, pointer: Pointer, state: State, starts: Mapping[str, int]) -> dict[str, int]:
    """Return by partition how many records a generation has refused, which it began to read at these offsets."""
    ledgers = await change.generation(pointer).ledgers()
    return {
        name: ledger.dead_lettered - _passed(state.skipped, name, starts.get(name, 0), ledger.next)
        for name, ledger in ledgers.items()
    }


def _passed(skipped: Skipped, name: str, start: int, reached: int) -> int:
    """Return how many offsets of a partition were passed over by command from its start to where it stands."""
    ranges = skipped.get(name, {}).items()
    return sum(end - max(begin, start) for begin, end in ranges if start < end <= reached)
