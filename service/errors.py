"""Why a command ends early, with the exit code that says so."""

from collections.abc import Sequence
from typing import ClassVar


class CommandError(Exception):
    """A command cannot go on; the text says what to do about it."""

    exit_code: ClassVar[int] = 1


class SettingsError(CommandError):
    """Settings are missing or wrong; `faults` has one sentence for each, all found at once."""

    exit_code = 2

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class StoppedError(CommandError):
    """A command was asked to end before it was done."""

    exit_code = 130  # what a shell says of Ctrl-C


class ServiceUnavailableError(CommandError):
    """A service that is needed could not be reached in time, or cannot be used as it is."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: whoever runs the process starts it again
