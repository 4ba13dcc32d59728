"""`python -m worker`: what workers install, and simulated workers and a view of the log beside it."""

import click

from operator_status.commands.command_line import COMMANDS
from service.command_line import Group, version_option
from worker.simulate import simulate
from worker.watch import watch


@click.group(cls=Group)
@version_option
def worker() -> None:
    """Report the progress of a job, simulate jobs, or watch jobs in a terminal."""


for command in (*COMMANDS, simulate, watch):
    worker.add_command(command)
