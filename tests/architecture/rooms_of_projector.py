"""Who may import whom inside the projector: records walk from the log to Redis, and imports go the other way round."""

from typing import Final

# What every room but the fold may import.
_LEAVES: Final = frozenset({"projector.errors", "projector.settings"})
_STEPS: Final = frozenset({"projector.fold", "projector.log", "projector.letters", "projector.store"})

# Room -> what else of the projector it may import: rooms, and modules of the root.
ROOMS_OF_PROJECTOR: Final = {
    "projector.fold": frozenset[str](),
    "projector.log": _LEAVES | {"projector.fold"},
    "projector.letters": _LEAVES | {"projector.fold", "projector.log", "projector.operating"},
    "projector.operating": _LEAVES | {"projector.closing", "projector.store"},
    "projector.store": _LEAVES | {"projector.fold"},
    "projector.assignment": _LEAVES | _STEPS | {"projector.operating"},
    # What a person types: it may use whatever there is.
    "projector.commands": _LEAVES
    | _STEPS
    | {
        "projector.app",
        "projector.assignment",
        "projector.doctor",
        "projector.expiry",
        "projector.operating",
        "projector.replay",
    },
    "projector.diagnosing": _LEAVES | {"projector.metrics", "projector.store"},
    "projector.expiry": _LEAVES | {"projector.store", "projector.operating"},
    "projector.replay": _LEAVES
    | _STEPS
    | {
        "projector.assignment",
        "projector.closing",
        "projector.cycles",
        "projector.expiry",
        "projector.metrics",
        "projector.projector",
        "projector.operating",
    },
}
