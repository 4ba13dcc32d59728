"""What a live generation is opened with, where there is no log."""

from collections.abc import Mapping
from typing import Final

from projector.store.live import AskEnds, LogIdentity

LOG: Final = LogIdentity("cluster", "t")


def known(ends: Mapping[str, int]) -> AskEnds:
    """Return what tells these ends of the log when it is asked."""

    async def ask() -> Mapping[str, int]:
        return ends

    return ask
