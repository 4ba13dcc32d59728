"""`status-worker`: the commands, and how they end."""

import logging
import signal
import sys
from typing import NoReturn

import click

from operator_status.commands.check import check
from operator_status.commands.deliver import deliver
from operator_status.commands.exec_command import exec_command
from operator_status.commands.help import HELP, Group
from operator_status.commands.publish import publish
from operator_status.errors import CommandError
from operator_status.version import __version__

STOPPED = 128 + signal.SIGINT  # what a shell says of Ctrl-C

COMMANDS: tuple[click.Command, ...] = (exec_command, publish, deliver, check)


@click.group(cls=Group)
@click.version_option(__version__, message="operator-status %(version)s")
def commands() -> None:
    """Report the progress of a job, from anything, without ever harming it."""


for command in COMMANDS:
    commands.add_command(command)


def run() -> NoReturn:
    """Run the command line and end the process with the exit code of its outcome."""
    logging.basicConfig(format="status-worker: %(message)s", level=logging.WARNING)
    try:
        ended = commands.main(prog_name="status-worker", standalone_mode=False, **HELP)
    except CommandError as error:
        for line in str(error).splitlines():
            click.echo(f"error: {line}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(STOPPED)
    sys.exit(ended if isinstance(ended, int) else 0)
