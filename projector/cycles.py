"""Python's reference cycles, freed when we say so.

The hot path makes no cycles; looking for them, run by allocation counts, took a third of its time (measured).
"""

import gc


def free_only_when_told() -> None:
    """Leave what start-up made out of the search, and search only when somebody calls `free`."""
    gc.collect()
    gc.freeze()
    gc.disable()


def free() -> None:
    """Free what only cycles keep in memory."""
    gc.collect()
