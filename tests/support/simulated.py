"""Records of simulated jobs, some of them garbage, late, repeated or out of order."""

from collections.abc import Iterator
from typing import Final

from tests.support.deployment import Message
from worker.simulation import Mix, events

MIX: Final = Mix(owners=5, duplicates=0.1, garbage=0.02, late=0.1, out_of_order=0.3)


def messages(seed: int, jobs: int) -> Iterator[Message]:
    """Yield the records of simulated jobs."""
    for record in events(seed=seed, jobs=jobs, mix=MIX):
        yield record.key, record.value, list(record.headers)
