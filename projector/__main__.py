"""Commands of the projector: `python -m projector COMMAND`."""

import sys

import click

from projector.app import run_projector
from projector.assignment.skip import skip
from projector.doctor import examine
from projector.expiry.command import expire
from projector.letters.commands import dead_letters
from projector.log.topics import create_topics
from projector.replay.archive.archive_commands import export_command, import_command
from projector.replay.generations.generations_command import generations
from projector.replay.rebuild.rebuild_command import rebuild_command
from projector.replay.verify.verify_command import verify_command
from projector.settings import ProjectorSettings
from service.command_line import run_async, run_command, settings_options
from service.errors import CommandError
from service.logs import configure_logs

DEFAULT_PARTITIONS = 4


@click.group()
def commands() -> None:
    """Fold job events from Kafka into Redis.

    Every option can be given by the environment variable named beside it. Exit codes: 0 done, 1 something is
    wrong, 2 bad usage or settings, 75 a service that is needed could not be reached in time.
    """


@commands.command()
@settings_options(ProjectorSettings)
def run(settings: ProjectorSettings) -> None:
    """Run one projector until SIGTERM; start more for more throughput."""
    configure_logs(settings.log_format)
    run_async(run_projector(settings))


@commands.command()
@settings_options(ProjectorSettings)
def doctor(settings: ProjectorSettings) -> None:
    """Check Kafka, topics, Redis, lag and ledger; print one line for each, with the fix."""
    configure_logs(settings.log_format)

    async def main() -> None:
        findings = await examine(settings)
        for finding in findings:
            click.echo(finding)
        if any(finding.fix for finding in findings):
            sys.exit(CommandError.exit_code)

    run_async(main())


@commands.command(name="skip")
@click.option("--partition", type=click.IntRange(0), help="The partition; all of them when not given.")
@click.option("--to", type=click.IntRange(0), help="The offset to go on from; needs --partition.")
@click.option("--to-log-start", is_flag=True, help="Go on from where the log begins now.")
@settings_options(ProjectorSettings)
def skip_command(settings: ProjectorSettings, partition: int | None, to: int | None, *, to_log_start: bool) -> None:
    """Pass over events that are gone or cannot be read; a dead letter names the range."""
    if to_log_start == (to is not None):
        raise click.UsageError("give either --to-log-start, or --partition and --to")
    if to is not None and partition is None:
        raise click.UsageError("--to needs --partition")
    configure_logs(settings.log_format)

    async def main() -> None:
        for skipped in await skip(settings, partition, to):
            click.echo(skipped)

    run_async(main())


@commands.group()
def topics() -> None:
    """Make the topics that the system needs."""


@topics.command()
@click.option("--partitions", default=DEFAULT_PARTITIONS, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--replicas", default=1, show_default=True, type=click.IntRange(1, 100), help="Copies of each partition.")
@settings_options(ProjectorSettings)
def create(settings: ProjectorSettings, partitions: int, replicas: int) -> None:
    """Create the log and the dead-letter topic; harmless when repeated."""
    configure_logs(settings.log_format)

    async def main() -> None:
        for sentence in await create_topics(settings, partitions, replicas):
            click.echo(sentence)

    run_async(main())


for command in (dead_letters, rebuild_command, generations, verify_command, export_command, import_command, expire):
    commands.add_command(command)


def main() -> None:
    """Run the command line."""
    run_command(commands, "python -m projector")


if __name__ == "__main__":
    main()
