"""A command as a job: what is reported while it runs, and when it has ended."""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

from operator_status.executing.child import Child, Ended
from operator_status.executing.stages_file import VARIABLE, StagesFile
from operator_status.published import FINISHED, STAGES

POLL_SECONDS: Final = 0.25

_RUNNING: Final = STAGES.index("running")
_log = logging.getLogger(__name__)

Report = Callable[[str, Mapping[str, Any]], object]


class Told(NamedTuple):
    """What the caller says of the command."""

    log_url: str | None
    outputs_url: tuple[str, ...]
    heartbeat_seconds: float
    stages: StagesFile | None
    environment: Mapping[str, str] = {}  # for the command, beside our own


def execute(child: Child, told: Told, report: Report) -> int:
    """Run a command to its end, report it, and return its exit code."""
    file = told.stages
    try:
        report("started", {})
        environment = {**os.environ, **told.environment, **(file.variables() if file else {})}
        watch = _Watch(file, told, report)
        ended = child.start(environment)
        if file:
            file.hand_over()
        if ended is None:
            report("running", {"algolog_url": told.log_url})
            watch.start()
            ended = child.wait()
        watch.finish(ended)
    finally:
        if file:
            file.close()
    return ended.code


def stages_file(path: str | None, descriptor: int | None) -> StagesFile | None:
    """Return the file for the command's stages; None, which is told, when there can be none."""
    try:
        return StagesFile(path, descriptor)
    except OSError as error:
        _log.warning("the command cannot report stages: %s", error)
        return None


class _Watch:
    """Looks at the command's file, and reports signs of life, until the end."""

    def __init__(self, file: StagesFile | None, told: Told, report: Report) -> None:
        self._file = file
        self._told = told
        self._report = report
        self._begin = self._latest = time.monotonic()
        self._stage = _RUNNING
        self._message = ""
        self._last: dict[str, Any] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stages of the command", daemon=True)

    def start(self) -> None:
        try:
            self._thread.start()
        except RuntimeError as error:  # no more threads for this process
            _log.warning("no signs of life are reported: %s", error)

    def finish(self, ended: Ended) -> None:
        """Report the end, with what the command itself said of it."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._read(is_over=True)
        details = {"outputs_url": self._told.outputs_url, "algolog_url": self._told.log_url, **self._last}
        self._report(FINISHED, {**details, "outcome": ended.outcome, "error": ended.error})
        if self._file and self._file.refused:
            _log.warning("%d lines in %s were no stages", self._file.refused, VARIABLE)

    def _watch(self) -> None:
        while not self._is_over.wait(POLL_SECONDS):
            self._read()
            now = time.monotonic()
            if now - self._latest >= self._told.heartbeat_seconds:
                self._latest = now
                message = self._message or f"for {now - self._begin:.0f} s"
                self._report(STAGES[self._stage], {"message": message})

    def _read(self, *, is_over: bool = False) -> None:
        """Report what the command has told; a finish is the command's end, and waits for it."""
        if self._file is None:
            return
        with suppress(OSError):
            for stage, details in self._file.told(is_over=is_over):
                if stage == FINISHED:
                    self._last |= details
                    continue
                self._stage = max(self._stage, STAGES.index(stage))
                self._message = details.get("message") or self._message
                self._latest = time.monotonic()
                self._report(stage, details)
