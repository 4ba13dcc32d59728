"""The options by which commands learn which job they report on."""

import os
from collections.abc import Callable
from typing import Any, Final

import click

from operator_status.event import ReportedJob
from operator_status.identity import FIELDS, reported_job

Command = Callable[..., Any]

_OPTIONS: Final = (
    click.option("--owner", metavar="0x...", help="ETH address of the job's owner.  [env: OPERATOR_OWNER]"),
    click.option("--agreement-id", metavar="ID", help="Agreement.  [env: OPERATOR_AGREEMENT_ID]"),
    click.option(
        "--job-id",
        metavar="ID",
        help="Workflow ID.  [env: OPERATOR_JOB_ID, else that of Kubernetes, Slurm, Nomad or HTCondor]",
    ),
    click.option(
        "--attempt", metavar="N", help="Which attempt of the job.  [env: OPERATOR_ATTEMPT, else the platform's, else 1]"
    ),
    click.option(
        "--source",
        metavar="PATH",
        help="The worker that reports.  [env: OPERATOR_SOURCE, else /workers/ and this machine's name]",
    ),
)


def job_options(command: Command) -> Command:
    """Give a command the options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def given_job(options: dict[str, Any]) -> ReportedJob:
    """Return the job that the options, and where this process runs, describe; unchecked."""
    given = {name: options[name] for name in FIELDS}
    attempt = given["attempt"]
    if attempt and attempt.isascii() and attempt.isdecimal():
        given["attempt"] = int(attempt)
    return reported_job(os.environ, **given)
