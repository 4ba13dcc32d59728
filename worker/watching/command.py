"""`python -m worker watch`: wait for jobs in a terminal or in a script."""

import sys
from typing import Any, Final

import click

from operator_status.commands.help import drop_output, seconds_option
from schemas.lifecycle import FINISHED, STAGE_BY_NAME, STAGE_NAMES
from service.command_line import SettingsCommand, json_option, run_async, settings_options
from service.entry import missing
from service.logs import configure_logs
from worker.watching.ending import Ending
from worker.watching.matches import Query
from worker.watching.settings import WatchSettings
from worker.watching.verdict import Goal, Wait

MAX_NAMED_JOBS: Final = 50
MAX_FAULTS: Final = 10
LONGEST_SECONDS: Final = 30 * 24 * 3600.0


@click.command(cls=SettingsCommand)
@settings_options(WatchSettings)
@click.option("--owner", metavar="0x...", help="Jobs of this owner.")
@click.option("--agreement-id", metavar="ID", help="Jobs of this agreement.")
@click.option("--job-id", "job_ids", metavar="ID", multiple=True, help="This job; may be repeated.")
@click.option("--all/--any", "are_all_needed", default=True, help="Wait for all of the jobs (the default), or for one.")
@click.option(
    "--until",
    type=click.Choice(STAGE_NAMES),
    default=FINISHED.name,
    show_default=True,
    help="Wait until this stage is reached or passed.",
)
@click.option("--wait-for-appearance", is_flag=True, help="Wait for jobs that nobody has reported yet.")
@seconds_option("timeout", None, "Give up after so long.", click.FloatRange(0, LONGEST_SECONDS, min_open=True))
@click.option(
    "--faults",
    type=click.IntRange(1, 1000),
    default=MAX_FAULTS,
    show_default=True,
    metavar="N",
    help="How many faults in a row mean that contact is lost.",
)
@json_option
def watch(settings: WatchSettings, *, timeout_seconds: float | None, faults: int, as_json: bool, **given: Any) -> int:
    r"""Wait for jobs, and end with an exit code that says how they ended.

    On a terminal each job's five steps are drawn; elsewhere, and with --json, each change is a line of JSON. Notices go
    to standard error, and the last line of standard output says how the wait ended.

    Of a job only its latest attempt counts. With --all one that failed or was cancelled outweighs those that succeeded;
    with --any the first that is done counts. A job that ended without success has passed the stages that it reported.

    \b
    Exit codes:
      0    succeeded, or reached the stage of --until
      10   failed
      11   cancelled
      12   not found: no such job, and no --wait-for-appearance
      13   gave up waiting, after --timeout
      75   lost contact with the API
      130  interrupted
      2    bad usage or settings, or the API refuses the question
    """
    configure_logs(settings.log_format)
    goal = Goal(STAGE_BY_NAME[given["until"]], not given["are_all_needed"], given["wait_for_appearance"])
    wait = Wait(queries_of(given["owner"], given["agreement_id"], given["job_ids"]), goal, timeout_seconds, faults)
    try:
        from worker.watching.session import run  # noqa: PLC0415 - other commands wait for none of what this needs
    except ModuleNotFoundError as error:
        raise click.UsageError(missing("worker", error)) from error
    try:
        return run_async(run(settings, wait, is_for_programs=as_json or not sys.stdout.isatty()))
    except BrokenPipeError:  # nobody reads any more
        drop_output()
        return Ending.INTERRUPTED


def queries_of(owner: str | None, agreement_id: str | None, job_ids: tuple[str, ...]) -> list[Query]:
    """Return a query for each job that is named, else the one for all jobs of the owner and the agreement."""
    if not (owner or agreement_id or job_ids):
        raise click.UsageError("which jobs? Give at least one of --owner, --agreement-id and --job-id.")
    if len(job_ids) > MAX_NAMED_JOBS:
        raise click.UsageError(f"at most {MAX_NAMED_JOBS} times --job-id; --agreement-id or --owner watches many jobs.")
    return [Query(owner, agreement_id, job_id) for job_id in dict.fromkeys(job_ids or (None,))]
