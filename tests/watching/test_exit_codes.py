"""The exit codes of `watch`, each of them by a real process that asks a real API."""

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest

from devstack import free_port
from tests.support.client import TIMELINE, Client
from tests.support.seeding import FINISHED_JOB, Job, Projection
from tests.support.waiting import until
from tests.support.watcher import ended, terminal, watched, watcher
from worker.watching.telling.sentences import first_sentence

if TYPE_CHECKING:
    from tests.support.page import ToldProjection

RUNNING = Job(job_id="4444", stages={"started": "2020-10-01T01:00:00Z", "running": "2020-10-01T01:01:00Z"})


def finished(job_id: str, outcome: str, *reported: str, **details: str) -> Job:
    """Return a job that reported these stages, and then that it ended so."""
    stages = {name: f"2020-10-01T01:0{minute}:00Z" for minute, name in enumerate((*reported, "finished"))}
    return Job(job_id=job_id, stages=stages, details={"outcome": outcome, **details})


@pytest.mark.parametrize(
    ("outcome", "code", "sentence"),
    [
        ("succeeded", 0, "succeeded: 5555"),
        ("failed", 10, "failed: 5555: out of memory"),
        ("cancelled", 11, "cancelled: 5555: out of memory"),
    ],
)
async def test_an_outcome_is_an_exit_code(
    api: str, projection: Projection, outcome: str, code: int, sentence: str
) -> None:
    """A job that succeeded, failed or was cancelled ends the wait with a code of its own, and with one last line."""
    error = {} if outcome == "succeeded" else {"error": "out of memory"}
    await projection.put([finished("5555", outcome, "started", **error)])
    done = await watched(api, "--job-id=5555")
    assert (done.code, done.last["exitCode"], done.last["result"]) == (code, code, outcome)
    assert done.last["sentence"] == sentence
    assert [job["outcome"] for job in done.last["jobs"]] == [outcome]


async def test_a_job_that_nobody_reported(api: str) -> None:
    """A job that is not there ends the wait at once, and the last line names what was looked for."""
    done = await watched(api, "--owner=0x1111", "--job-id=absent")
    assert done.code == 12
    assert [line["sentence"] for line in done.lines] == ["not found: no job matches owner=0x1111 jobId=absent"]
    assert "--wait-for-appearance" in done.errors


async def test_a_job_that_appears(api: str, projection: Projection) -> None:
    """With --wait-for-appearance a job may be reported after the watcher came."""
    async with watcher(api, "--job-id=3333", "--wait-for-appearance") as process:
        assert process.stderr
        while b"waiting for it to appear" not in await process.stderr.readline():
            pass
        await projection.put([FINISHED_JOB])
        assert (await ended(process)).code == 0


async def test_a_job_that_is_let_go(api: str, projection: "ToldProjection") -> None:
    """A job that leaves by expiry while it is watched is told, and is not found then."""
    await projection.put([RUNNING])
    async with watcher(api, "--job-id=4444") as process:
        assert process.stdout
        first = await process.stdout.readline()
        assert b'"event":"job"' in first
        await projection.remove(RUNNING)
        done = await ended(process)
    assert (done.code, [line["event"] for line in done.lines][-2:]) == (12, ["gone", "end"])


async def test_the_stream_is_listened_to(api: str, projection: Projection) -> None:
    """Where there is a stream nobody asks again and again, and what changes is told at once."""
    await projection.put([RUNNING])
    async with watcher(api, "--job-id=4444") as process:
        assert process.stdout
        await process.stdout.readline()
        await projection.put([finished("4444", "succeeded", "started", "running")])
        done = await ended(process)
    assert (done.code, "no stream here" in done.errors) == (0, False)


async def test_giving_up(api: str, projection: Projection) -> None:
    """After --timeout the wait ends with a code of its own, and the last line says where the job is."""
    await projection.put([RUNNING])
    done = await watched(api, "--job-id=4444", "--timeout=1")
    assert (done.code, done.last["result"]) == (13, "gave up waiting")
    assert done.last["sentence"] == "gave up waiting: after 1 s; 4444 is at Running algorith"


async def test_nobody_answers() -> None:
    """Contact is lost after so many faults in a row, which are told; not before."""
    address = f"http://127.0.0.1:{free_port()}"
    done = await watched(address, "--job-id=3333", "--faults=3")
    assert (done.code, done.last["result"]) == (75, "lost contact")
    assert "3 faults in a row" in done.last["sentence"]
    assert address in done.errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_being_interrupted(api: str, projection: Projection, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the wait with 130, and the last line says where the job is."""
    await projection.put([RUNNING])
    async with watcher(api, "--job-id=4444") as process:
        assert process.stdout
        await process.stdout.readline()
        process.send_signal(number)
        done = await ended(process)
    assert (done.code, done.last["result"]) == (130, "interrupted")
    assert done.last["sentence"] == "interrupted: 4444 is at Running algorith"


@pytest.mark.parametrize("arguments", [(), ("--job-id=1", "--until=nowhere"), ("--job-id=1", "--api-url=ftp://x")])
async def test_bad_usage(api: str, arguments: tuple[str, ...]) -> None:
    """Who is asked wrongly says so on standard error, with 2, and nothing on standard output."""
    done = await watched(api, *arguments)
    assert (done.code, done.output) == (2, "")
    assert done.errors


async def test_a_refused_question(api: str) -> None:
    """What the API refuses is told in its own words, with 2."""
    done = await watched(api, f"--owner=0x{'1' * 300}")
    assert (done.code, done.output) == (2, "")
    assert "the API refuses with 400: owner" in done.errors


async def test_no_api_there(api: str) -> None:
    """An address at which something else answers is told as such."""
    done = await watched(api, "--owner=0x1111", f"--api-url={api}/elsewhere")
    assert (done.code, done.output) == (2, "")
    assert "set API_URL" in done.errors


async def test_in_a_terminal(api: str, projection: Projection) -> None:
    """In a terminal the five steps are drawn and follow the job, and the last line says how it ended."""
    await projection.put([RUNNING])
    async with terminal(api, "--job-id=4444") as shown:
        await until(lambda: shown.shows("4444  ● · ◉ ○ ○  Running algorith"), "it is drawn running", 30)
        await projection.put([finished("4444", "failed", "started", "running", error="no \x1b[31mroom")])
        done = await shown.end()
    assert done.code == 10
    assert "4444  ● · ● · ✗  failed" in done.output
    assert done.output.splitlines()[-1] == r"failed: 4444: no \x1b[31mroom"


async def test_why_a_job_stands_still(api: str, projection: Projection) -> None:
    """Below a job that stands still is the first sentence of what the API says of that."""
    await projection.put([RUNNING])
    async with Client(api) as client, terminal(api, "--job-id=4444") as shown:

        async def is_drawn() -> bool:
            [job] = (await client.get(f"{TIMELINE}?jobId=4444")).json()
            sentence = first_sentence(job["diagnosis"][0]["hint"])
            return await shown.shows(f"\n    {sentence[:40]}")

        await until(is_drawn, "it is drawn", 30)


async def test_json_in_a_terminal(api: str, projection: Projection) -> None:
    """With --json a terminal gets the same lines as a pipe."""
    await projection.put([FINISHED_JOB])
    async with terminal(api, "--job-id=3333", "--json") as shown:
        done = await shown.end()
    assert done.code == 0
    assert done.last["sentence"] == "succeeded: 3333"


async def test_nobody_reads(api: str, projection: Projection) -> None:
    """A reader that left ends the wait without a traceback."""
    await projection.put([RUNNING])
    async with watcher(api, "--job-id=4444") as process:
        assert process.stdout
        assert process.stderr
        await process.stdout.readline()
        process.stdout._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - as `head -1` does
        await projection.put([FINISHED_JOB])
        await asyncio.sleep(0)
        await projection.put([finished("4444", "succeeded", "started", "running")])
        assert await process.wait() == 130
        assert b"Traceback" not in await process.stderr.read()
