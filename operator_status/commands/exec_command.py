"""`status-worker exec`: run a command as a job, and report what becomes of it."""

import os
from collections.abc import Mapping
from typing import Any, Final

import click

from operator_status.child import Child
from operator_status.commands.help import SettingsCommand, kafka_options
from operator_status.commands.job_options import given_job, job_options
from operator_status.errors import SettingsError
from operator_status.executing import Told, execute
from operator_status.reporter import END_SECONDS, Reporter
from operator_status.settings import SPOOL_VARIABLE, KafkaSettings

HEARTBEAT_SECONDS: Final = 60.0


@click.command("exec", cls=SettingsCommand)
@kafka_options
@job_options
@click.option("--log-url", metavar="URL", help="Log of the command, shown to the user.")
@click.option("--outputs-url", metavar="URL", multiple=True, help="An output of the command; may be repeated.")
@click.option(
    "--heartbeat",
    "heartbeat_seconds",
    type=click.FloatRange(1, 3600),
    default=HEARTBEAT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How often a sign of life is reported while the command runs.",
)
@click.option(
    "--stages-file",
    metavar="FILE",
    help="Where the command may report stages; a temporary file by default. It finds the name in OPERATOR_STAGES_FILE.",
)
@click.option(
    "--stderr-line",
    "has_error_line",
    is_flag=True,
    envvar="OPERATOR_STDERR_LINE",
    show_envvar=True,
    help="Report the last line of standard error as the error; the command then writes it into a pipe.",
)
@click.option(
    "--spool",
    "spool_directory",
    metavar="FOLDER",
    envvar=SPOOL_VARIABLE,
    show_envvar=True,
    help="Where reports are on disk until Kafka has them.",
)
@click.option(
    "--wait",
    "end_seconds",
    type=click.FloatRange(0, 3600),
    default=END_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Longest wait for Kafka when the command has ended.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
def exec_command(kafka: dict[str, str | None], command: tuple[str, ...], **given: Any) -> int:
    """Run COMMAND, and report started, running and finished with its outcome. Write -- before it.

    Signals, standard streams and the exit code pass through. Whatever is wrong with reporting is told on standard error
    and changes nothing of that: the command runs. The exit code is the command's; 128 and the signal's number when a
    signal ended it, 127 when there is no such command, 126 when it cannot be run.

    While it runs the command may report further stages, in a shell by

    echo '{"stage": "uploading", "message": "2 GB"}' >> "$OPERATOR_STAGES_FILE"
    """
    told = Told(given["log_url"], given["outputs_url"], given["heartbeat_seconds"], given["stages_file"])
    child = Child(command, has_error_line=given["has_error_line"])
    try:
        settings = KafkaSettings.load(os.environ, kafka)
    except SettingsError as error:
        click.echo(f"status-worker: nothing is reported: {'; '.join(error.faults)}", err=True)
        return execute(child, told, lambda _stage, _details: None)
    job = given_job(given)
    reporter = Reporter(
        settings=settings, spool_directory=given["spool_directory"], delivery_timeout_seconds=given["end_seconds"]
    )

    def report(stage: str, details: Mapping[str, Any]) -> None:
        reporter.report(job, stage, details)

    try:
        return execute(child, told, report)
    finally:
        reporter.close()
