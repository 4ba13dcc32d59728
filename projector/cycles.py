"""Python's cyclic garbage, collected when we say so.

The hot path makes no cycles; the collector, run by allocation counts, took a third of its time (measured).
"""

import gc


def collect_on_purpose() -> None:
    """Leave what start-up made out of collections, and collect only when somebody calls `gc.collect`."""
    gc.collect()
    gc.freeze()
    gc.disable()
