"""Command: `python -m projector topics create`."""

import click

from projector.log.topics import DEFAULT_PARTITIONS, create_topics
from projector.settings import ProjectorSettings
from service.command_line import Group, run_async, settings_options
from service.logs import configure_logs


@click.group(cls=Group)
def topics() -> None:
    """Make the topics that the system needs."""


@topics.command()
@click.option(
    "--partitions",
    type=click.IntRange(1, 10_000),
    help=f"Partitions of the log; when not given {DEFAULT_PARTITIONS}, or as many as there are.",
)
@click.option("--replicas", default=1, show_default=True, type=click.IntRange(1, 100), help="Copies of each partition.")
@settings_options(ProjectorSettings)
def create(settings: ProjectorSettings, partitions: int | None, replicas: int) -> None:
    """Create the log and the dead-letter topic; harmless when repeated."""
    configure_logs(settings.log_format)

    async def main() -> None:
        for sentence in await create_topics(settings, partitions, replicas):
            click.echo(sentence)

    run_async(main())
