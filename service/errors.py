"""Why a command ends early, with the exit code that says so."""

from operator_status.errors import CommandError, ServiceUnavailableError, SettingsError

__all__ = ["CommandError", "ServiceUnavailableError", "SettingsError", "StoppedError"]


class StoppedError(CommandError):
    """A command was asked to end before it was done."""

    exit_code = 130  # what a shell says of Ctrl-C
