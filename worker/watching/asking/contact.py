"""Whether somebody who asks is in contact: faults in a row are counted, and told once."""

from collections.abc import Callable
from typing import Final

from worker.watching.asking.errors import LostContactError, NoAnswerError, NotNowError

FIRST_PAUSE_SECONDS: Final = 0.5
MAX_PAUSE_SECONDS: Final = 5.0
Say = Callable[[str], None]


class Contact:
    """Faults in a row of one who asks.

    A fault is an answer that did not come. That the API says that it cannot answer now is none: it is there.
    """

    def __init__(self, say: Say, max_faults: int) -> None:
        """Begin in contact."""
        self._say = say
        self._max_faults = max_faults
        self._told = ""
        self.faults = 0

    def is_there(self) -> None:
        """Note an answer."""
        if self._told:
            self._say("in contact again" if self.faults else "the API answers again")
        self.faults, self._told = 0, ""

    def pause_after_fault(self, fault: NoAnswerError) -> float:
        """Note a fault and return how long to wait; LostContactError when there were too many."""
        self.faults += 1
        if self.faults >= self._max_faults:
            raise LostContactError(f"{fault} ({self.faults} faults in a row)")
        self._tell(f"no answer, trying again: {fault}")
        return min(FIRST_PAUSE_SECONDS * 2.0 ** (self.faults - 1), MAX_PAUSE_SECONDS)

    def pause_until_it_pays(self, refusal: NotNowError) -> float:
        """Note that the API cannot answer now, and return how long to wait."""
        self.faults = 0
        self._tell(f"the API cannot answer now: {refusal}")
        return refusal.seconds

    def _tell(self, sentence: str) -> None:
        if sentence != self._told:
            self._say(sentence)
        self._told = sentence
