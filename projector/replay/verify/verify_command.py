"""Command: `python -m projector verify`."""

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click
import orjson

from projector.operating.child_processes import MAX_PROCESSES
from projector.operating.progress import progress
from projector.operating.running import run_on_redis
from projector.replay.verify.comparison import verify
from projector.replay.verify.difference import Difference
from projector.replay.verify.moment import Options
from projector.settings import ProjectorSettings
from service.command_line import SettingsCommand, json_option, settings_options
from service.errors import CommandError, StoppedError
from service.redis import AnyRedis

SHOWN = 100


class _Output:
    """Tells differences: the first of them as lines for people, or all of them as JSON; all of them to the report."""

    def __init__(self, report: IO[bytes] | None, *, as_json: bool) -> None:
        self._report = report
        self._as_json = as_json
        self._count = 0
        self._mended = 0

    def __call__(self, difference: Difference, is_mended: bool) -> None:  # noqa: FBT001 - what Found says
        self._count += 1
        self._mended += is_mended
        if self._count <= SHOWN and not self._as_json:
            click.echo(f"{difference}{' (mended)' if is_mended else ''}")
        self.write({**difference.as_dict(), "mended": is_mended})

    def write(self, line: dict[str, object]) -> None:
        text = orjson.dumps(line)
        if self._as_json:
            click.echo(text)
        if self._report:
            self._report.write(text + b"\n")

    def stopped(self) -> StoppedError:
        """Tell that it ends before it is done; return that for people."""
        self.write({"summary": {"stopped": True, "differences": self._count, "mended": self._mended}})
        if not self._mended:
            return StoppedError(f"stopped: {self._count} differences were found by then, nothing was changed")
        return StoppedError(
            f"stopped: {self._count} differences were found by then and {self._mended} of them mended, each of them "
            "whole; run the command again for the rest"
        )

    @property
    def left_out(self) -> int:
        """How many were not shown."""
        return 0 if self._as_json else max(0, self._count - SHOWN)


@click.command(name="verify", cls=SettingsCommand)
@click.option("--generation", type=click.IntRange(1), help="The generation; the live one when not given.")
@click.option("--repair", is_flag=True, help="Mend what differs, and nothing else; a report is written.")
@click.option("--trust-log", is_flag=True, help="With --repair: mend also by a log that was made anew or cut.")
@click.option(
    "--temporary-directory",
    "directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the second fold has room, about 2.2 KB for each attempt; the system's temporary one when not given.",
)
@click.option(
    "--processes",
    type=click.IntRange(0, MAX_PROCESSES),
    help="How many fold and compare beside the one that reads; when not given 2, or none where the log is small.",
)
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="File for every difference, as NDJSON.")
@json_option
@settings_options(ProjectorSettings)
def verify_command(
    settings: ProjectorSettings,
    generation: int | None,
    directory: Path | None,
    processes: int | None,
    report: Path | None,
    *,
    repair: bool,
    trust_log: bool,
    as_json: bool,
) -> None:
    """Fold the log again and compare: jobs, index entries, positions, ledgers; projectors may go on meanwhile.

    Exit code 1 when anything differs; with --repair, when anything could not be mended.
    """
    if trust_log and not repair:
        raise click.UsageError("--trust-log is for --repair")
    if repair and report is None:
        report = Path(f"verify-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.ndjson")

    number = f" --generation {generation}" if generation else ""
    options = Options(generation, repair, trust_log, directory, processes=processes)

    async def main(redis: AnyRedis) -> None:
        gc.freeze()  # what start-up made need not be looked at by each collection
        with _opened(report) as file, progress("verify") as show:
            output = _Output(file, as_json=as_json)
            try:
                findings = await verify(settings, redis, options, output, show)
            except asyncio.CancelledError:
                raise output.stopped() from None
            output.write({"summary": findings.as_dict()})
        if output.left_out:
            click.echo(f"... and {output.left_out} more" + ("" if report else ": --report FILE has all of them"))
        if not as_json:
            click.echo(findings)
        if report:
            click.echo(f"report: {report}", err=as_json)
        if not findings.is_right:
            raise CommandError(
                "not everything could be mended: run it again"
                if repair
                else f"the projection differs from the log: `python -m projector verify{number} --repair` mends it"
            )

    run_on_redis(settings, main)


@contextmanager
def _opened(report: Path | None) -> Iterator[IO[bytes] | None]:
    if report is None:
        yield None
        return
    try:
        file = report.open("wb")
    except OSError as error:
        raise CommandError(f"the report cannot be written to {report}: {error.strerror}") from error
    with file:
        yield file
