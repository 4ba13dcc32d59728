"""The processes that fold and compare for a verify: what they are handed, and how they end."""

import asyncio
import multiprocessing
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from projector.operating import child_processes
from projector.replay.verify.parallel import folding
from projector.replay.verify.parallel.processes import (
    SMALL_LOG_RECORDS,
    UnderWay,
    processes,
)
from service.errors import CommandError
from tests.support.deployment import Deployment, wait_for
from tests.support.processes import fork_server
from tests.support.refold import refold, stored
from tests.support.verifying import verified

pytestmark = pytest.mark.server  # the fork server is one


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are forked from one that has imported everything."""
    fork_server()
    monkeypatch.setattr(child_processes, "PROCESSES", multiprocessing.get_context("forkserver"))


def done_beside(work: Callable[..., Any], *given: Any) -> Any:
    """Return what a process of its own answers."""

    async def main() -> Any:
        with processes(1, 0) as beside:
            return await beside.begin(work, *given)

    return asyncio.run(main())


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_job_whose_events_are_folded_apart_is_the_same(
    folded: Deployment, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Wherever the log is cut into parts, and whoever folds them, what they give together is what the log says."""
    monkeypatch.setattr(folding, "PART_RECORDS", 1)
    lines, findings = verified(folded, processes=count)
    assert lines == []
    assert findings.records == sum(folded.log_ends().values())
    assert findings.jobs == sum(name.startswith("job:") for name in stored(folded))
    assert stored(folded) == refold(folded)


def test_what_differs_is_found_by_processes_too(folded: Deployment) -> None:
    """A job that is gone is named and mended, and nothing else, also when processes of their own compare."""
    folded.stop_all()
    key = next(folded.redis.scan_iter(match=f"{folded.prefix}:*:job:*"))
    folded.redis.delete(key)
    lines, findings = verified(folded, processes=2, repair=True)
    assert [line.rpartition(": ")[2] for line in lines] == ["missing job (mended)"]
    assert findings.is_right
    assert stored(folded) == refold(folded)


def test_a_process_that_is_killed_is_a_sentence() -> None:
    """It says what happened and what to do, and waits for nobody."""
    with pytest.raises(CommandError, match="ended by somebody else, perhaps for want of memory: run verify again"):
        done_beside(os._exit, 1)


def answer_in_part() -> None:
    """Write the size of an answer and a little of it, and be gone."""
    frame: Any = sys._getframe(2)  # noqa: SLF001 - what runs us knows where answers go
    os.write(frame.f_locals["result_queue"]._writer.fileno(), struct.pack("!i", 1000) + b"x")  # noqa: SLF001 - as above
    os._exit(1)


def test_a_process_that_is_killed_while_it_answers_is_a_sentence() -> None:
    """The rest of an answer is not waited for."""
    with pytest.raises(CommandError, match="ended by somebody else"):
        done_beside(answer_in_part)


def test_what_goes_wrong_there_is_raised_here() -> None:
    """Nothing is lost between processes."""
    with pytest.raises(ValueError, match="invalid literal"):
        done_beside(int, "x")


def test_interrupts_are_left_to_the_command() -> None:
    """A terminal sends Ctrl-C to all of them, and the command alone says what becomes of it."""
    for told in (signal.SIGINT, signal.SIGTERM):
        assert done_beside(signal.getsignal, told) == signal.SIG_IGN


def test_they_are_less_urgent_than_those_who_answer() -> None:
    """Queries get the processor first."""
    assert done_beside(os.nice, 0) > os.nice(0)


def test_they_end_with_the_command_though_it_was_killed() -> None:
    """Nobody is left who waits for work."""
    program = (
        "import asyncio, os, time\n"
        "from projector.replay.verify.parallel.processes import processes\n"
        "async def main():\n"
        "    with processes(1, 0) as beside:\n"
        "        print(await beside.begin(os.getpid), flush=True)\n"
        "        time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout
        pid = int(command.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        command.kill()
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), "it has ended")


def test_a_small_log_needs_none_and_others_some() -> None:
    """What takes less time than the start of a process is done at once; what somebody asks for is done so."""
    with processes(None, SMALL_LOG_RECORDS - 1) as beside:
        assert beside.most == 0
    with processes(None, SMALL_LOG_RECORDS) as beside:
        assert beside.most >= child_processes.USUAL_PROCESSES
    with processes(1, 0) as beside:
        assert beside.most > 0


def test_so_much_is_under_way_and_answers_come_in_order() -> None:
    """Memory is bounded by what may be under way; who began first is taken first."""

    async def main() -> list[int]:
        under_way = UnderWay[int](2)
        loop = asyncio.get_running_loop()
        taken = []
        begun = [loop.create_future() for _ in range(4)]
        for number, one in reversed(list(enumerate(begun))):
            one.set_result(number)
        for number, one in enumerate(begun):
            under_way.add(one)
            taken += await under_way.take()
            assert len(taken) == max(0, number - 1)
        return taken + await under_way.take(all_of_it=True)

    assert asyncio.run(main()) == [0, 1, 2, 3]
