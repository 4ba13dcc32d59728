"""`python -m worker publish`: report one event from a shell."""

import platform
from typing import Any, Final

import click

from schemas.lifecycle import DEFAULT_OUTCOME, OUTCOME_OF_ERROR, OUTCOMES, STAGE_BY_NAME, STAGE_NAMES
from service.command_line import SettingsCommand, drop_output, run_async, settings_options
from service.kafka import quiet_connection_attempts
from service.logs import configure_logs
from service.settings import KafkaSettings
from worker.app import require_topic
from worker.event import Report, ReportedJob, make_report
from worker.job import NAMES_IN_EVENTS
from worker.reporter import Reporter

_OUTCOME_HELP: Final = f"With finished; {DEFAULT_OUTCOME} by default, {OUTCOME_OF_ERROR} when there is an --error."


@click.command(cls=SettingsCommand)
@click.argument("stage", metavar="STAGE", type=click.Choice(STAGE_NAMES))
@settings_options(KafkaSettings)
@click.option("--owner", metavar="0x...", help="ETH address of the job's owner.")
@click.option("--agreement-id", metavar="ID", help="Agreement.")
@click.option("--job-id", metavar="ID", help="Workflow ID.")
@click.option("--attempt", metavar="N", default="1", show_default=True, help="Which attempt of the job.")
@click.option("--source", metavar="PATH", help="The worker that reports; /workers/ and this machine's name by default.")
@click.option("--time", metavar="ISO", help="When it happened, such as 2020-10-01T01:00:00Z; now by default.")
@click.option("--configlog-url", metavar="URL", help="Configuration log, shown to admins.")
@click.option("--publishlog-url", metavar="URL", help="Publish log, shown to admins.")
@click.option("--algolog-url", metavar="URL", help="Log of the algorithm, shown to the user.")
@click.option("--outputs-url", metavar="URL", multiple=True, help="An output of the algorithm; may be repeated.")
@click.option("--message", metavar="TEXT", help="A remark for people.")
@click.option("--outcome", metavar="|".join(OUTCOMES), help=_OUTCOME_HELP)
@click.option("--error", metavar="TEXT", help="With finished: why it failed.")
@click.option("--dry-run", is_flag=True, help="Print the event and send nothing.")
def publish(settings: KafkaSettings, stage: str, *, dry_run: bool, **given: Any) -> None:
    """Report that a job reached STAGE, and wait until Kafka has acknowledged it.

    Stages: started, configuring, running, uploading, finished.

    Reporting the same again is harmless. Exit codes: 0 done, 2 bad input, 75 Kafka or the topic is not there.
    """
    report = _report(stage, given)
    if dry_run:
        click.echo(report.value)
        return
    configure_logs(settings.log_format)
    run_async(_publish(settings, report))


def _report(stage: str, given: dict[str, Any]) -> Report:
    """Return the event that the options describe; InvalidEventError names every one that is wrong."""
    source = given["source"] or f"/workers/{platform.node()}"
    job = ReportedJob(given["owner"], given["agreement_id"], given["job_id"], _number(given["attempt"]), source)
    details = {name: given[option] for option, name in NAMES_IN_EVENTS.items()}
    details["outputsURL"] = details["outputsURL"] or None  # click has () for an option that was not given
    return make_report(job, STAGE_BY_NAME[stage], details, given["time"])


def _number(text: str) -> Any:
    """Return the number, or the text itself for the check to find together with the other faults."""
    return int(text) if text.isdecimal() else text


async def _publish(settings: KafkaSettings, report: Report) -> None:
    await require_topic(settings)
    with quiet_connection_attempts():
        async with Reporter(settings=settings, delivery_timeout_seconds=settings.start_timeout_seconds) as reporter:
            place = await reporter.hand_over(report)
    _say(f"{report}: acknowledged in topic {place.topic}, partition {place.partition}, offset {place.offset}")


def _say(sentence: str) -> None:
    """Print it; that nobody could read it does not make the event less delivered."""
    try:
        click.echo(sentence)
    except OSError as error:
        drop_output()
        click.echo(f"{sentence}; standard output could not be written: {error.strerror}", err=True)
