"""`status-worker exec`: run a command as a job, and report what becomes of it."""

import os
from collections.abc import Mapping
from typing import Any, Final

import click

from operator_status.commands.help import LONGEST_SECONDS, SettingsCommand, kafka_options, seconds_option, spool_option
from operator_status.commands.job_options import given_job, job_options
from operator_status.errors import SettingsError
from operator_status.executing.child import Child
from operator_status.executing.execution import Told, execute, stages_file
from operator_status.identity import variables_of
from operator_status.reporting.reporter import END_SECONDS, Reporter
from operator_status.settings import KafkaSettings

HEARTBEAT_SECONDS: Final = 60.0
MAX_DESCRIPTOR: Final = 255
ERROR_LINE: Final = "OPERATOR_STDERR_LINE"


@click.command("exec", cls=SettingsCommand, context_settings={"allow_interspersed_args": False})
@kafka_options
@job_options
@click.option("--log-url", metavar="URL", help="Log of the command, shown to the user.")
@click.option("--outputs-url", metavar="URL", multiple=True, help="An output of the command; may be repeated.")
@seconds_option(
    "heartbeat",
    HEARTBEAT_SECONDS,
    "How often a sign of life is reported while the command runs.",
    click.FloatRange(1, LONGEST_SECONDS),
)
@click.option(
    "--stages-file",
    metavar="FILE",
    help="Where the command may report stages; a temporary file by default. It finds the name in OPERATOR_STAGES_FILE.",
)
@click.option(
    "--stages-fd",
    type=click.IntRange(3, MAX_DESCRIPTOR),
    metavar="N",
    help="The same file, open as descriptor N of the command. It finds the number in OPERATOR_STAGES_FD.",
)
@click.option(
    "--stderr-line",
    "has_error_line",
    is_flag=True,
    help=f"Report the last line of standard error as the error; it is a pipe to the command.  [env: {ERROR_LINE}]",
)
@spool_option("Where reports are on disk until Kafka has them.")
@seconds_option(
    "wait",
    END_SECONDS,
    "Longest wait for Kafka when the command has ended.",
    click.FloatRange(0, LONGEST_SECONDS),
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
def exec_command(kafka: dict[str, str | None], command: tuple[str, ...], **given: Any) -> int:
    """Run COMMAND, and report started, running and finished with its outcome. A -- before it is welcome.

    Signals, standard streams and the exit code pass through. Whatever is wrong with reporting is told on standard error
    and changes nothing of that: the command runs. The exit code is the command's; 128 and the signal's number when a
    signal ended it, 127 when there is no such command, 126 when it cannot be run.

    While it runs the command may report further stages, in a shell by

    echo '{"stage": "uploading", "message": "2 GB"}' >> "$OPERATOR_STAGES_FILE"
    """
    stages = stages_file(given["stages_file"], given["stages_fd"])
    told = Told(given["log_url"], given["outputs_url"], given["heartbeat_seconds"], stages)
    # No value of a variable is an error: the command runs.
    has_error_line = given["has_error_line"] or os.environ.get(ERROR_LINE, "").lower() not in {"", "0", "false", "no"}
    child = Child(command, has_error_line=has_error_line)
    try:
        settings = KafkaSettings.load(os.environ, kafka)
    except SettingsError as error:
        click.echo(f"status-worker: nothing is reported: {'; '.join(error.faults)}", err=True)
        return execute(child, told, lambda _stage, _details: None)
    job = given_job(given)
    told = told._replace(environment=variables_of(job))
    reporter = Reporter(
        settings=settings, spool_directory=given["spool_directory"], delivery_timeout_seconds=given["wait_seconds"]
    )

    def report(stage: str, details: Mapping[str, Any]) -> None:
        reporter.report(job, stage, details)

    try:
        return execute(child, told, report)
    finally:
        reporter.close()
