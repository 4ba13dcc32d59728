"""The rooms inside of `worker`."""

from typing import Final

# Which other rooms of `worker` each of them may import. Modules at the root that import no room are for all of them.
ROOMS_OF_WORKER: Final = {
    "worker.watching": frozenset({"worker.watching.asking", "worker.watching.telling"}),
    # What both know is in the room around them: jobs, queries, settings.
    "worker.watching.asking": frozenset({"worker.watching"}),
    "worker.watching.telling": frozenset({"worker.watching"}),
}
