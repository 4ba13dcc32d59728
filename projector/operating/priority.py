"""How urgent a process is to the operating system."""

import os
from typing import Final

# Of 19 levels below the usual one: beside processes of that one it gets about a tenth of what each of them gets.
LESS_URGENT: Final = 10


def make_way() -> None:
    """Leave the processor to those who answer queries, where the system can tell (not on Windows)."""
    if hasattr(os, "nice"):
        os.nice(LESS_URGENT)
