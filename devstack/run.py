"""The whole system on one machine: Kafka, Redis, projector, API and simulated workers."""

import hashlib
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from devstack.errors import ApiNotReadyError
from devstack.ports import LOCALHOST, choose_port
from devstack.screen import Screen
from devstack.stack import Devstack
from devstack.status_api import STATUS_PATH, StatusApi
from devstack.supervisor import Program, Supervisor
from devstack.waiting import POLL_SECONDS

TOPICS_LIMIT_SECONDS = 60.0
READY_LIMIT_SECONDS = 60.0
PROGRESS_SECONDS = 1.0
MOST_OF_OUR_TIME = 0.05  # the part of it in which we may ask the API for the progress
ANY_ADDRESS = {"", "0.0.0.0", "::"}  # noqa: S104 - where the user may have told the API to listen
# The simulator's first owner.
OWNER = "0x" + hashlib.blake2b(b"owner-0", digest_size=20).hexdigest()


@dataclass(frozen=True)
class Options:
    """What the user chose."""

    directory: Path
    kafka_port: int
    redis_port: int
    api_port: int
    metrics_port: int
    simulator: tuple[str, ...]  # its command line


def run(options: Options, environment: Mapping[str, str], screen: Screen) -> NoReturn:
    """Start everything, then show the progress until a signal or a DevstackError ends it."""
    screen.show("Kafka and Redis are starting")
    with devstack(options, screen) as stack:
        children = children_environment(options, environment, stack, screen)
        with Supervisor(stack.logs, children, screen.say) as supervisor:
            screen.show("projector and API are starting")
            api = StatusApi(reachable(children["API_HOST"]), int(children["API_PORT"]))
            start_services(supervisor, api, stack)
            supervisor.start(python_program("simulator", "worker", *options.simulator, ends=True))
            screen.say(banner(stack, api))
            show_progress(supervisor, stack, api, screen)


def devstack(options: Options, screen: Screen) -> Devstack:
    """Return the servers, not yet started."""
    return Devstack(options.directory, kafka_port=options.kafka_port, redis_port=options.redis_port, say=screen.say)


def children_environment(
    options: Options, environment: Mapping[str, str], stack: Devstack, screen: Screen
) -> dict[str, str]:
    """Return the user's environment with what only we know, and defaults that suit a terminal."""
    known = {
        "KAFKA_BOOTSTRAP_SERVERS": stack.kafka_bootstrap_servers,
        "REDIS_URL": stack.redis_url,
        "API_PORT": str(choose_port(options.api_port, "the API", screen.say)),
        "METRICS_PORT": str(choose_port(options.metrics_port, "the projector's metrics", screen.say)),
    }
    defaults = {"API_HOST": LOCALHOST, "API_DRAIN_SECONDS": "0", "LOG_FORMAT": "console", "PYTHONUNBUFFERED": "1"}
    return {**defaults, **environment, **known}


def reachable(host: str) -> str:
    """Return where to reach a server that listens there."""
    return LOCALHOST if host in ANY_ADDRESS else host


def start_services(supervisor: Supervisor, api: StatusApi, stack: Devstack) -> None:
    """Start API and projector (they end in the opposite order) and wait until the API is ready."""
    supervisor.run_to_end(python_program("topics", "projector", "topics", "create", ends=True), TOPICS_LIMIT_SECONDS)
    supervisor.start(python_program("api", "api"))
    supervisor.start(python_program("projector", "projector", "run"))
    if not supervisor.wait_until(api.is_ready, READY_LIMIT_SECONDS):
        answer = api.get("/readyz?verbose").body.decode(errors="replace")
        raise ApiNotReadyError(limit_seconds=READY_LIMIT_SECONDS, answer=answer, logs=stack.logs)


def python_program(name: str, module: str, *arguments: str, ends: bool = False) -> Program:
    """Return the program that is a module of this project."""
    return Program(name, (sys.executable, "-m", module, *arguments), ends=ends)


def banner(stack: Devstack, api: StatusApi) -> str:
    """Return what a person wants to know first."""
    return "\n".join(
        (
            "",
            f"page      {api.url}/?owner={OWNER}   <- open this",
            f"query     curl '{api.url}{STATUS_PATH}?owner={OWNER}'",
            f"kafka     {stack.kafka_bootstrap_servers}   redis  {stack.redis_url}",
            f"logs      {stack.logs}/",
            "Ctrl-C ends all of it",
            "",
        )
    )


def show_progress(supervisor: Supervisor, stack: Devstack, api: StatusApi, screen: Screen) -> NoReturn:
    """Show what the API says about the jobs of one owner; raises a DevstackError when something ends for good."""
    due = time.monotonic()
    while True:
        supervisor.tend()
        if death := stack.death():
            raise death
        if time.monotonic() >= due:
            due = _show(api, screen)
        time.sleep(POLL_SECONDS)


def _show(api: StatusApi, screen: Screen) -> float:
    """Ask once and return when to ask again: the more jobs there are, the longer an answer takes."""
    began = time.monotonic()
    screen.show(api.progress(OWNER))
    now = time.monotonic()
    return now + max(PROGRESS_SECONDS, (now - began) / MOST_OF_OUR_TIME)
