"""`python -m worker`: what workers install, and simulated workers and two views beside it."""

import click

from operator_status.commands.command_line import COMMANDS
from service.command_line import Group, version_option
from worker.events import events
from worker.simulate import simulate
from worker.watching.command import watch


@click.group(cls=Group)
@version_option
def worker() -> None:
    """Report the progress of a job, wait for jobs, simulate jobs, or look at the events themselves."""


for command in (*COMMANDS, simulate, watch, events):
    worker.add_command(command)
