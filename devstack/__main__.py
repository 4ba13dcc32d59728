"""`python -m devstack`."""

import signal
import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it without a word until there is something to clean up."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        from devstack.command_line import commands  # noqa: PLC0415 - takes its time
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error.name} is not installed: pip install 'operator-status-servers[devstack]'")
    commands()


if __name__ == "__main__":
    main()
