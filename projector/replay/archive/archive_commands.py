"""Commands: `python -m projector export` and `python -m projector import`."""

import sys

import click

from projector.operating.priority import make_way
from projector.operating.progress import progress
from projector.operating.running import run_on_redis
from projector.replay.archive.export import export
from projector.replay.archive.importing import import_archive
from projector.replay.archive.stream import STANDARD, ArchiveReader, ArchiveWriter, archive_sink, archive_source
from projector.replay.generations.making import MAX_BUCKETS
from projector.settings import ProjectorSettings
from service.command_line import SettingsCommand, json_option, settings_options
from service.redis import AnyRedis


@click.command(name="export", cls=SettingsCommand)
@click.option("--generation", "number", type=click.IntRange(1), help="Which one; the live one when not given.")
@click.option("--output", default=STANDARD, metavar="FILE|-", help="Where to; standard output when not given.")
@click.option("--zstd", "is_compressed", is_flag=True, help="Compress it.")
@json_option
@settings_options(ProjectorSettings)
def export_command(
    settings: ProjectorSettings, number: int | None, output: str, *, is_compressed: bool, as_json: bool
) -> None:
    """Write the projection with its positions as JSON lines, while projectors go on.

    This is a backup that `import` goes on from, and a way to another Redis. Kafka is not asked. What --json prints is
    on standard error where the archive has standard output.
    """
    if output == STANDARD and is_compressed and sys.stdout.isatty():
        raise click.UsageError("a compressed archive is not for a terminal: name a file with --output, or use a pipe")

    async def main(redis: AnyRedis) -> None:
        with archive_sink(output, is_compressed=is_compressed) as sink, progress("export", "jobs") as show:
            outcome = await export(redis, settings.redis_prefix, number, ArchiveWriter(sink), show)
        outcome.tell(as_json=as_json, beside=not as_json or output == STANDARD)

    run_on_redis(settings, main)


@click.command(name="import", cls=SettingsCommand)
@click.argument("file", default=STANDARD, metavar="[FILE|-]")
@click.option("--buckets", type=click.IntRange(1, MAX_BUCKETS), help="Into how many; as many as there were.")
@json_option
@settings_options(ProjectorSettings)
def import_command(settings: ProjectorSettings, file: str, buckets: int | None, *, as_json: bool) -> None:
    """Make a generation of the archive in FILE, or standard input, compressed or not.

    Where no generation is live it goes live, and projectors go on from the archive's positions. Else the live one
    stays, and `generations rollback` switches to what was imported. An archive that is not whole changes nothing.
    """
    if file == STANDARD and sys.stdin.isatty():
        raise click.UsageError("name the FILE of an archive, or pipe one in")

    async def main(redis: AnyRedis) -> None:
        make_way()
        with archive_source(file) as source, progress("import", "jobs") as show:
            outcome = await import_archive(settings, redis, ArchiveReader(source), buckets, show)
        outcome.tell(as_json=as_json)

    run_on_redis(settings, main)
