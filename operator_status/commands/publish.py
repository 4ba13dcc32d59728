"""`status-worker publish`: report one event from a shell, or many from standard input."""

import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final

import click

from operator_status.commands.help import SettingsCommand, kafka_options, loaded, say, seconds_option
from operator_status.commands.job_options import given_job, job_options
from operator_status.errors import InvalidEventError
from operator_status.event import Report, ReportedJob, make_report
from operator_status.identity import FIELDS
from operator_status.job import NAMES_IN_EVENTS
from operator_status.published import IDENTITY, OUTCOMES, STAGES

MAX_INPUT_REPORTS: Final = 100_000
MAX_TOLD_FAULTS: Final = 100
TIMEOUT_SECONDS: Final = 30.0

_NAMES_OF_JOB: Final = dict(zip((*IDENTITY, "source"), FIELDS, strict=True))
_OUTCOME_HELP: Final = f"With finished; {OUTCOMES[0]} by default, {OUTCOMES[1]} when there is an --error."


@click.command(cls=SettingsCommand)
@click.argument("stage", metavar="[STAGE]", type=click.Choice(STAGES), required=False)
@kafka_options
@job_options
@click.option("--time", metavar="ISO", help="When it happened, such as 2020-10-01T01:00:00Z; now by default.")
@click.option("--configlog-url", metavar="URL", help="Configuration log, shown to admins.")
@click.option("--publishlog-url", metavar="URL", help="Publish log, shown to admins.")
@click.option("--algolog-url", metavar="URL", help="Log of the algorithm, shown to the user.")
@click.option("--outputs-url", metavar="URL", multiple=True, help="An output of the algorithm; may be repeated.")
@click.option("--message", metavar="TEXT", help="A remark for people.")
@click.option("--outcome", metavar="|".join(OUTCOMES), help=_OUTCOME_HELP)
@click.option("--error", metavar="TEXT", help="With finished: why it failed.")
@seconds_option("timeout", TIMEOUT_SECONDS, "Longest wait for Kafka.", envvar="START_TIMEOUT_SECONDS", show_envvar=True)
@click.option("--dry-run", is_flag=True, help="Print the events and send nothing.")
def publish(
    kafka: dict[str, str | None], stage: str | None, *, timeout_seconds: float, dry_run: bool, **given: Any
) -> None:
    """Report that a job reached STAGE, and wait until Kafka has acknowledged it.

    Stages: started, configuring, running, uploading, finished. Without STAGE, reports are read from standard input, one
    line of JSON each: {"stage": "running", "jobId": "3333", "message": "epoch 3"}, with members as in events; what a
    line does not say is taken from the options. Nothing is sent when one of them is wrong.

    Reporting the same again is harmless. Exit codes: 0 done, 2 bad input, 75 Kafka or the topic is not there.
    """
    settings = None if dry_run else loaded(kafka)
    job = given_job(given)
    details = {name: given[option] for option, name in NAMES_IN_EVENTS.items()}
    if stage:
        reports = [make_report(job, stage, details, given["time"])]
    else:
        reports = _read(job, {**details, "time": given["time"]}, sys.stdin.buffer)
    if settings is None:
        for report in reports:
            click.echo(report.value)
    elif reports:
        _send(settings, reports, timeout_seconds)


def _read(job: ReportedJob, details: dict[str, Any], lines: Iterable[bytes]) -> list[Report]:
    """Return the reports of NDJSON; InvalidEventError names the lines that are wrong, all together."""
    reports, faults = [], []
    for number, line in enumerate(islice(lines, MAX_INPUT_REPORTS + 1), 1):
        if not line.strip():
            continue
        try:
            reports.append(_report(job, details, line))
        except InvalidEventError as error:
            faults += [f"line {number}: {fault}" for fault in error.faults]
    if len(reports) > MAX_INPUT_REPORTS:
        faults.append(f"more than {MAX_INPUT_REPORTS} lines")
    if faults:
        raise InvalidEventError(faults[:MAX_TOLD_FAULTS])
    return reports


def _report(job: ReportedJob, details: dict[str, Any], line: bytes) -> Report:
    try:
        given = json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidEventError(["not JSON"]) from None
    if not isinstance(given, dict):
        raise InvalidEventError(["not an object"])
    stage = given.pop("stage", None)
    if stage not in STAGES:
        raise InvalidEventError([f"stage: there are {', '.join(STAGES)}"])
    if unknown := sorted(given.keys() - {*_NAMES_OF_JOB, *details}):
        known = ", ".join(("stage", *_NAMES_OF_JOB, *details))
        raise InvalidEventError([f"{name}: no member of a report; there are {known}" for name in unknown])
    of_job = {_NAMES_OF_JOB[name]: given.pop(name) for name in _NAMES_OF_JOB if name in given}
    named = details | given
    time = named.pop("time")
    return make_report(job._replace(**of_job), stage, named, time)


def _send(settings: Any, reports: Sequence[Report], timeout_seconds: float) -> None:
    from operator_status.commands.sending import send_all  # noqa: PLC0415 - a dry run needs no Kafka

    places = asyncio.run(send_all(settings, reports, timeout_seconds))
    if len(reports) == 1:
        place = places[0]
        say(f"{reports[0]}: acknowledged in topic {place.topic}, partition {place.partition}, offset {place.offset}")
    else:
        say(f"{len(reports)} reports: acknowledged in topic {places[0].topic}")
