"""`python -m worker`: report one event, simulate jobs, watch jobs."""

import click

from service.command_line import Group, version_option
from worker.publish import publish
from worker.simulate import simulate
from worker.watch import watch


@click.group(cls=Group)
@version_option
def worker() -> None:
    """Report one event of a job from a shell, simulate jobs, or watch jobs in a terminal."""


for command in (publish, simulate, watch):
    worker.add_command(command)
