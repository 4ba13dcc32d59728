"""Command line: `python -m devstack up` and `python -m devstack run`."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from devstack.ending import ending
from devstack.run import Options
from devstack.run import run as run_everything
from devstack.screen import Screen
from devstack.stack import Devstack
from devstack.waiting import POLL_SECONDS

Command = TypeVar("Command", bound=Callable[..., None])
PORT = click.IntRange(0, 65_535)


def port_option(name: str, default: int, help_text: str, variable: str | None = None) -> Callable[[Command], Command]:
    """Return the option for a port, which may come from the environment."""
    return click.option(
        name,
        type=PORT,
        default=default,
        envvar=variable,
        show_envvar=True,
        show_default=True,
        help=f"{help_text} Another free one when it is taken; 0: any.",
    )


directory_option = click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".devstack"),
    show_default=True,
    help="Where data and logs are kept; remove it to begin anew.",
)
kafka_port_option = port_option("--kafka-port", 9092, "Where Kafka listens.")
redis_port_option = port_option("--redis-port", 6379, "Where Redis listens.")


@click.group(context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]})
@click.version_option(package_name="operator-status", message="%(package)s %(version)s")
def commands() -> None:
    """Start a real Kafka and a real Valkey (or Redis) as child processes, without Docker."""


@commands.command()
@directory_option
@kafka_port_option
@redis_port_option
def up(directory: Path, kafka_port: int, redis_port: int) -> None:
    """Start Kafka and Redis, print their addresses, and end both on Ctrl-C."""
    with ending(), Devstack(directory, kafka_port=kafka_port, redis_port=redis_port, say=_say_aside) as stack:
        click.echo(f"KAFKA_BOOTSTRAP_SERVERS={stack.kafka_bootstrap_servers}")
        click.echo(f"REDIS_URL={stack.redis_url}")
        while not (death := stack.death()):
            time.sleep(POLL_SECONDS)
        raise death


@commands.command()
@directory_option
@kafka_port_option
@redis_port_option
@port_option("--api-port", 8080, "Where the API and its page listen.", "API_PORT")
@port_option("--metrics-port", 9464, "Where the projector serves its metrics.", "METRICS_PORT")
@click.option(
    "--jobs",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="How many jobs are simulated; 0: new ones until Ctrl-C.",
)
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True, help="Events per second."
)
@click.option("--seed", type=click.IntRange(min=0), help="The same seed gives the same jobs; random when not given.")
@click.option(
    "--owners", type=click.IntRange(min=1), default=3, show_default=True, help="How many owners share the jobs."
)
@click.option(
    "--pace",
    type=click.FloatRange(0, 86_400),
    default=5.0,
    show_default=True,
    help="Mean seconds that a job stays in a stage.",
)
def run(
    directory: Path, kafka_port: int, redis_port: int, api_port: int, metrics_port: int, **simulator: float | None
) -> None:
    """Start the whole system with simulated workers, print the page's address, and end all of it on Ctrl-C.

    Environment variables pass through to the projector, the API and the workers.
    """
    chosen = tuple(f"--{name}={value}" for name, value in simulator.items() if value is not None)
    options = Options(directory, kafka_port, redis_port, api_port, metrics_port, ("simulate", *chosen))
    with ending(), Screen(sys.stdout) as screen:
        run_everything(options, os.environ, screen)


def _say_aside(line: str) -> None:
    click.echo(line, err=True)
