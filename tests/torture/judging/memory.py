"""How much memory the programs take at most, whatever is done to them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

from tests.torture.judging.anomalies import Anomaly, Name
from tests.torture.system.programs import Program
from tests.torture.system.resources import usage_of

LOOK_SECONDS: Final = 0.5
LIMIT_MIB: Final = 400


class Memory:
    """Looks at the programs' resident memory all the time."""

    def __init__(self, programs: Mapping[str, Program]) -> None:
        self.most_mib: defaultdict[str, int] = defaultdict(int)
        self._programs = programs

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            for name, program in self._programs.items():
                with suppress(OSError, KeyError, ValueError):
                    if program.pid:
                        self.note(name, usage_of(program.pid).resident_kib // 1024)
            await asyncio.sleep(LOOK_SECONDS)

    def note(self, name: str, mib: int) -> None:
        """Note what a program takes now."""
        self.most_mib[name] = max(self.most_mib[name], mib)

    def judge(self) -> Iterator[Anomaly]:
        """Yield who took more than it may, and begin anew."""
        for name, mib in self.most_mib.items():
            if mib > LIMIT_MIB:
                yield Anomaly(Name.TOO_LARGE, f"{name} took {mib} MiB, {LIMIT_MIB} are allowed")
        self.most_mib.clear()
