"""Kafka's jars, from Maven Central the first time and from jgo's cache afterwards."""

import shutil
import zipfile
from pathlib import Path
from textwrap import shorten

import jgo
from jgo.config import GlobalSettings
from jgo.env import Environment

from devstack.errors import JarsMissingError
from devstack.lock import DirectoryLock
from devstack.ports import Say, say_nothing

KAFKA_VERSION = "4.3.1"
LOG4J_VERSION = "2.25.4"  # the one that Kafka's own jars want
# Without log4j's binding Kafka logs nothing. The mark behind it keeps out the versions that log4j's own list of
# versions would press on everybody: an older kafka-clients, with which Kafka does not start.
ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J_VERSION}!"
UNFINISHED = "unfinished"  # the file that is there while jars are fetched, and after an interruption
LONGEST_REASON = 300


def kafka_jars(say: Say = say_nothing) -> list[Path]:
    """Return the class path; fetches the jars, which needs the network, when they are not there."""
    settings = GlobalSettings.load()
    if not (settings.repo_cache / "org/apache/kafka/kafka_2.13" / KAFKA_VERSION).exists():
        say(f"fetching Kafka {KAFKA_VERSION} from Maven Central, once (46 files, 44 MB)")
    ours = settings.cache_dir / "devstack"
    with DirectoryLock(ours):  # two who fetch the same file spoil it
        unfinished = ours / UNFINISHED
        was_interrupted = unfinished.exists()
        unfinished.touch()
        environment = _build(settings.repo_cache)
        if was_interrupted:
            environment = _build_anew(environment, settings.repo_cache)
        unfinished.unlink()
    return environment.all_jars


def _build_anew(environment: Environment, repository: Path) -> Environment:
    """Build again from whole files: jgo takes what an interrupted download left for good."""
    shutil.rmtree(environment.path)
    environment = _build(repository)
    if damaged := [jar for jar in environment.all_jars if not zipfile.is_zipfile(jar)]:
        _forget(damaged, repository)
        shutil.rmtree(environment.path)
        environment = _build(repository)
    return environment


def _build(repository: Path) -> Environment:
    try:
        return jgo.build(ENDPOINT)
    except Exception as error:
        reason = shorten(f"{type(error).__name__}: {error}", LONGEST_REASON)
        raise JarsMissingError(reason=reason, repository=repository) from error


def _forget(jars: list[Path], repository: Path) -> None:
    """Remove half a file wherever jgo would take it from."""
    for jar in jars:
        for copy in repository.rglob(jar.name):
            copy.unlink()
