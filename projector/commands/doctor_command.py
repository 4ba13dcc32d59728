"""Command: `python -m projector doctor`."""

import sys
from dataclasses import asdict

import click
import orjson

from projector.doctor import examine
from projector.settings import ProjectorSettings
from service.command_line import SettingsCommand, json_option, run_async, settings_options
from service.errors import CommandError
from service.logs import configure_logs


@click.command(cls=SettingsCommand)
@json_option
@settings_options(ProjectorSettings)
def doctor(settings: ProjectorSettings, *, as_json: bool) -> None:
    """Check Kafka, topics, Redis, lag and ledger; print one line for each, with the fix.

    Exit code 1 when something is to be mended.
    """
    configure_logs(settings.log_format)

    async def main() -> None:
        findings = await examine(settings)
        for finding in findings:
            click.echo(orjson.dumps(asdict(finding)) if as_json else finding)
        if any(finding.fix for finding in findings):
            sys.exit(CommandError.exit_code)

    run_async(main())
