"""How late the machine is for what it should do: it runs other tests too."""

import threading
import time
from typing import Final, Self

TICK_SECONDS: Final = 0.01


class Lateness:
    """Wakes up again and again, and adds up by how much that was too late."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lateness")

    def _run(self) -> None:
        before = time.monotonic()
        while not self._is_over.wait(TICK_SECONDS):
            now = time.monotonic()
            self.seconds += now - before - TICK_SECONDS
            before = now

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._is_over.set()
        self._thread.join()
