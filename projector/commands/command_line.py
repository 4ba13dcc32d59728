"""Commands of the projector: `python -m projector COMMAND`."""

import click

from projector.commands.doctor_command import doctor
from projector.commands.skip_command import skip_command
from projector.commands.topics_command import topics
from projector.expiry.command import expire
from projector.letters.commands import dead_letters
from projector.replay.archive.archive_commands import export_command, import_command
from projector.replay.generations.generations_command import generations
from projector.replay.rebuild.rebuild_command import rebuild_command
from projector.replay.verify.verify_command import verify_command
from projector.settings import ProjectorSettings
from service.command_line import Group, run_async, settings_options, version_option
from service.logs import configure_logs


@click.group(cls=Group)
@version_option
def commands() -> None:
    """Fold job events from Kafka into Redis.

    Every setting can be given by the environment variable named beside it. Exit codes: 0 done, 1 something is
    wrong, 2 bad usage or settings, 75 a service that is needed could not be reached in time, 130 interrupted.
    """


@commands.command()
@settings_options(ProjectorSettings)
def run(settings: ProjectorSettings) -> None:
    """Run one projector until SIGTERM; start more for more throughput."""
    from projector.app import run_projector  # noqa: PLC0415 - no other command needs an HTTP server, which takes long

    configure_logs(settings.log_format)
    run_async(run_projector(settings))


for command in (
    doctor,
    topics,
    dead_letters,
    skip_command,
    rebuild_command,
    generations,
    verify_command,
    export_command,
    import_command,
    expire,
):
    commands.add_command(command)
