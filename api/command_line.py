"""`python -m api`: the HTTP server."""

import click

from api.app import serve
from api.settings import ApiSettings
from api.workers import MAX_WORKERS, serve_with_workers
from service.command_line import SettingsCommand, run_async, settings_options, version_option
from service.logs import configure_logs


@click.command(cls=SettingsCommand)
@version_option
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1, MAX_WORKERS), help="Processes on the port."
)
@settings_options(ApiSettings)
def api(settings: ApiSettings, workers: int) -> None:
    """Answer where compute jobs stand, over HTTP.

    Every setting can be given by the environment variable named beside it. Starts without Redis: until it answers,
    so do jobs with 503. Exit codes: 0 done, 2 bad usage or settings, 75 the port is taken.
    """
    configure_logs(settings.log_format)
    run_async(serve(settings) if workers == 1 else serve_with_workers(settings, workers))
