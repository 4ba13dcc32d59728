"""What a server in a child process can do, whichever server it is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from devstack.child import STOP_LIMIT_SECONDS, Child
from devstack.errors import ChildDiedError, DevstackError, NotReadyError, NotStartedError, PortTakenError
from devstack.lock import DirectoryLock
from devstack.ports import LOCALHOST, Say, choose_port, is_free, say_nothing
from devstack.waiting import wait_until

START_LIMIT_SECONDS = 60.0
MOST_LAUNCHES = 3
PORT_LOST = "Address already in use"


class Server(ABC):
    """A server with its data directory, its port and its log; all three survive a restart.

    States: new -> start() -> running -> stop() or kill() or its death -> ended -> start() -> running. While running,
    pause() and resume() freeze and thaw it. Nobody else can use the directory while it runs.
    """

    name: ClassVar[str]

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        settings: Mapping[str, str] | None = None,
        log_path: Path | None = None,
        say: Say = say_nothing,
    ) -> None:
        """Describe it; nothing starts yet.

        Args:
            directory: where its data is kept.
            port: the wanted port; another free one is taken, and said, when this one is not free; 0: any.
            settings: the server's own settings, stronger than ours; may be changed before the next start().
            log_path: where its output goes; `<directory>/<name>.log` when not given.
            say: told in one line what the user should know.

        """
        self.directory = directory.absolute()
        self.settings = dict(settings or {})
        self.log_path = log_path or self.directory / f"{self.name.lower()}.log"
        self.port = self._wanted_port = port
        self._say = say
        self._lock = DirectoryLock(self.directory)
        self._child: Child | None = None
        self._has_own_port = False

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.stop()

    @property
    def address(self) -> str:
        """Host and port, where it listens."""
        return f"{LOCALHOST}:{self.port}"

    @property
    def child(self) -> Child:
        """The process of the latest start."""
        if self._child is None:
            raise NotStartedError(name=self.name)
        return self._child

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self.child.pid

    @property
    def is_running(self) -> bool:
        """Whether its process is there; a paused one is."""
        return self._child is not None and self._child.is_running

    def start(self) -> None:
        """Start it and wait until it answers; harmless when it runs.

        Raises a DevstackError whose text is for the user, and leaves no process behind then.
        """
        if self.is_running:
            return
        self._lock.acquire()
        try:
            self._launch()
        except BaseException:
            self.kill()
            raise

    def stop(self, limit_seconds: float = STOP_LIMIT_SECONDS) -> None:
        """End it cleanly, or hard when that takes longer than the limit; harmless when it does not run."""
        if self._child:
            self._child.stop(limit_seconds)
        self._lock.release()

    def kill(self) -> None:
        """End it with SIGKILL; harmless when it does not run."""
        if self._child:
            self._child.kill()
        self._lock.release()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): it accepts connections and answers nothing."""
        self.child.pause()

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self.child.resume()

    def death(self) -> DevstackError:
        """Return the error that explains why it ended."""
        return ChildDiedError(
            name=self.name, ending=self.child.ending(), log_path=self.log_path, tail=self.child.tail()
        )

    @abstractmethod
    def _prepare(self) -> list[str]:
        """Write what it needs in its directory and return its command line."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Ask it over its own protocol whether it serves."""

    def _launch(self) -> None:
        """Start it, again when somebody else took one of its ports between the choice and its use."""
        for tries_left in reversed(range(MOST_LAUNCHES)):
            self._settle_port()
            self._child = Child(self._prepare(), self.log_path)
            try:
                self._wait_until_ready(self._child)
            except ChildDiedError:
                if not tries_left or not self._child.wrote(PORT_LOST):
                    raise
            else:
                self._has_own_port = True
                return

    def _settle_port(self) -> None:
        if not self._has_own_port:
            self.port = choose_port(self._wanted_port, self.name, self._say)
        elif not is_free(self.port):
            raise PortTakenError(name=self.name, port=self.port)

    def _wait_until_ready(self, child: Child) -> None:
        is_settled = wait_until(lambda: not child.is_running or self._is_ready(), START_LIMIT_SECONDS)
        if not child.is_running:
            raise self.death()
        if not is_settled:
            raise NotReadyError(
                name=self.name, limit_seconds=START_LIMIT_SECONDS, log_path=self.log_path, tail=child.tail()
            )
