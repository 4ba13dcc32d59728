"""Brokers that cost a third to start: Java knows Kafka's classes from before, and directories need no formatting.

What is kept for that lies beside Kafka's jars and serves later runs too. A broker is the same with it and without.
"""

import hashlib
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from jgo.config import GlobalSettings

from devstack import DevstackError, Kafka, kafka
from devstack.jars import KAFKA_VERSION, kafka_jars
from devstack.java import java_binary
from devstack.kafka import new_cluster_id

# Java does not compile for speed what lives for seconds: that is half of what it costs to start a broker.
FOR_SECONDS: Final = "-XX:TieredStopAtLevel=1"
WRITTEN_SECONDS: Final = 120.0
# What Kafka's own tool writes into an empty directory: the cluster's features and users, and who the broker is.
FEATURES, IDENTITY = "bootstrap.checkpoint", "meta.properties"
Format = Callable[[Kafka, list[str], Path], None]


def start_brokers_quickly() -> None:
    """Have every broker that this process starts cost little."""
    kafka.JVM_OPTIONS = _Options(kafka.JVM_OPTIONS)
    Kafka._format = _from_another(Kafka._format)  # type: ignore[assignment, method-assign] # noqa: SLF001 - only tests want it


class _Options:
    """Options of Java, read anew for each broker: the archive may have been written meanwhile."""

    def __init__(self, options: Iterable[str]) -> None:
        self._options = (*options, FOR_SECONDS)

    def __iter__(self) -> Iterator[str]:
        yield from self._options
        if (archive := class_archive()).exists():  # told of one that is not there, Java does without its own too
            yield f"-XX:SharedArchiveFile={archive}"


def environment_for_programs() -> dict[str, str]:
    """Return the environment of a program that starts a broker, or several, so that these cost little too."""
    return {"JAVA_TOOL_OPTIONS": " ".join(_Options(()))}


def class_archive() -> Path:
    """Return where the archive is: another one for each Java and each set of jars, of which it holds for one."""
    files = [Path(java_binary()).resolve(), *kafka_jars()]
    return _kept() / f"classes-{_digest(f'{file} {file.stat().st_mtime_ns}' for file in files)}.jsa"


def write_archive() -> None:
    """Write the archive of Kafka's classes, unless it is there or this Java can have none.

    A broker of its own is started and ended for that, which takes seconds; nobody need wait for it.
    """
    with suppress(DevstackError):  # whoever needs a broker says what hinders it
        _write(class_archive())


def _write(archive: Path) -> None:
    if archive.exists() or not (Path(java_binary()).resolve().parents[1] / "lib/server/classes.jsa").exists():
        return
    with TemporaryDirectory(dir=_kept()) as directory:
        written = Path(directory) / archive.name
        with _Recorder(Path(directory), written) as broker:
            broker.stop(WRITTEN_SECONDS)
        if written.exists() and broker.child.exit_code != -signal.SIGKILL:
            written.replace(archive)


class _Recorder(Kafka):
    """A broker that writes, when it ends, an archive of the classes that it has loaded."""

    def __init__(self, directory: Path, archive: Path) -> None:
        super().__init__(directory / "broker")
        self._archive = archive

    def _prepare(self) -> list[str]:
        java, *arguments = super()._prepare()
        return [java, f"-XX:ArchiveClassesAtExit={self._archive}", *arguments]


def _from_another(format_anew: Format) -> Format:
    """Return what formats a directory by what was written into another one, when a broker like this one has been."""

    @wraps(format_anew)
    def format_(self: Kafka, java: list[str], properties: Path) -> None:
        options, cluster = self._format_options, self._cluster_id
        data, node = self.directory / "data", (kafka.SETTINGS | self.settings)["node.id"]
        kept = _kept() / f"features-{_digest([KAFKA_VERSION, *options])}"
        if not (kept.exists() and node.isdecimal()):  # Kafka itself says what is wrong with a number
            format_anew(self, java, properties)
            _keep(data / FEATURES, kept)
            return
        data.mkdir()
        shutil.copy(kept, data / FEATURES)
        identity = {"version": "1", "cluster.id": cluster, "node.id": node, "directory.id": new_cluster_id()}
        (data / IDENTITY).write_text("".join(f"{name}={value}\n" for name, value in identity.items()))

    return format_


def _keep(file: Path, kept: Path) -> None:
    with TemporaryDirectory(dir=kept.parent) as directory:
        Path(shutil.copy(file, directory)).replace(kept)


def _kept() -> Path:
    directory = GlobalSettings.load().cache_dir / "devstack"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
