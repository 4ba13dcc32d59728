"""Streams as they may come: whole, in parts, cut, with a farewell, of nonsense, or none at all."""

from tests.support.scripted_stream import Heard, Script, event, status, timeline, watch
from worker.watching.ending import Ending
from worker.watching.matches import Query


def one(job_id: str, code: int, attempt: int = 1) -> dict[str, object]:
    """Return what a stream says of a job."""
    return {"attempt": attempt, "job": status(job_id, code)}


async def test_a_job_is_followed_to_its_end() -> None:
    """Each change is told as it comes, and how it ended is asked for, which a stream does not say."""
    script = Script(
        [[b"retry: 2000\n\n", event("snapshot", [one("3333", 1)], "a"), event("status", one("3333", 5), "b")]],
        [timeline("3333", 1, 5, outcome="failed", error="no room")],
    )
    heard = Heard()
    ended = await watch(script, heard=heard)
    assert (ended.ending, ended.jobs[0].story.error) == (Ending.FAILED, "no room")
    assert [job.status for job in heard.jobs][:2] == [1, 5]


async def test_a_snapshot_in_parts_counts_when_it_is_whole() -> None:
    """Of a large snapshot nothing is concluded before its last part: the job of a later part is not missing."""
    parts = [
        event("snapshot", {"part": 1, "last": False, "jobs": []}),
        event("snapshot", {"part": 2, "last": True, "jobs": [one("3333", 5)]}, "a"),
    ]
    ended = await watch(Script([parts], [timeline("3333", 5)]))
    assert ended.ending is Ending.SUCCEEDED


async def test_an_empty_snapshot_is_a_job_that_is_not_there() -> None:
    """That nothing matches is an answer, which ends the wait."""
    assert (await watch(Script([[event("snapshot", [], "a")]]))).ending is Ending.NOT_FOUND


async def test_a_farewell_is_no_fault() -> None:
    """Where the server says `bye` the next connection goes on after the last event, also after one without data."""
    script = Script(
        [
            [
                event("snapshot", [one("3333", 1)], "a"),
                b"id: b\n\n",
                b"retry: 10\n\n",
                event("bye", {"reason": "drain"}),
            ],
            [event("status", one("3333", 5), "c"), event("end", {"jobs": 1}, "d")],
        ],
        [timeline("3333", 1)],
    )
    heard = Heard()

    def finish() -> None:
        script.timelines[:] = [timeline("3333", 1, 5)]

    script.at_connection[2] = finish
    assert (await watch(script, heard=heard, faults=1)).ending is Ending.SUCCEEDED
    assert script.asked_with == ["", "b"]
    assert heard.said == []


async def test_a_stream_that_breaks_is_asked_for_what_it_missed() -> None:
    """A connection that ends without a word is not taken for the end: what happened meanwhile is asked for."""
    script = Script([[event("snapshot", [one("3333", 1)], "a")]], [timeline("3333", 1, 5)])
    assert (await watch(script, faults=1)).ending is Ending.SUCCEEDED


async def test_without_a_stream_it_is_asked_again_and_again() -> None:
    """A server that has no stream is polled."""
    heard = Heard()
    assert (await watch(Script([], [timeline("3333", 1, 5)]), heard=heard)).ending is Ending.SUCCEEDED
    assert heard.said == ["no stream here: asking again and again"]


async def test_streams_that_break_again_and_again_are_left_alone() -> None:
    """After some streams that broke it is polled for a while, and that is told; contact is not lost."""
    script = Script([[b": hello\n\n"]] * 9, [timeline("3333", 1)])
    heard = Heard()

    def finish() -> None:
        script.timelines[:] = [timeline("3333", 1, 5)]

    script.at_connection[3] = finish
    assert (await watch(script, heard=heard, faults=1)).ending is Ending.SUCCEEDED
    assert any(sentence.startswith("asking again and again for a while") for sentence in heard.said) or (
        len(script.asked_with) <= 3
    )


async def test_nonsense_is_a_broken_stream() -> None:
    """An event that cannot be understood ends the stream, and the next one begins with a snapshot."""
    script = Script(
        [
            [event("snapshot", [one("3333", 1)], "a"), event("status", {"attempt": 1}, "b")],
            [event("snapshot", [one("3333", 5)], "c")],
        ],
        [timeline("3333", 1)],
    )

    def finish() -> None:
        script.timelines[:] = [timeline("3333", 1, 5)]

    script.at_connection[2] = finish
    assert (await watch(script)).ending is Ending.SUCCEEDED
    assert script.asked_with == ["", ""]


async def test_kinds_of_events_that_are_not_known_are_passed_over() -> None:
    """A later server may say more."""
    script = Script([[event("weather", "fine"), event("snapshot", [one("3333", 5)], "a")]], [timeline("3333", 5)])
    assert (await watch(script)).ending is Ending.SUCCEEDED


async def test_text_cannot_forge_an_event() -> None:
    """Line separators of Unicode within a value end no line of the stream."""
    job = one("3333", 5)
    job["job"]["algologURL"] = "http://example.net/\u2028event: bye\u0085data: {}"  # type: ignore[index]
    assert (await watch(Script([[event("snapshot", [job], "a")]], [timeline("3333", 5)]))).ending is Ending.SUCCEEDED


async def test_a_job_that_is_gone() -> None:
    """A job that was let go while it was under way is told, and is then not found."""
    gone = {"attempt": 1, "owner": "0x1111", "agreementId": "0x2222", "jobId": "3333"}
    script = Script([[event("snapshot", [one("3333", 1)], "a"), event("gone", gone, "b")]], [timeline("3333", 1)])
    heard = Heard()
    assert (await watch(script, heard=heard)).ending is Ending.NOT_FOUND
    assert [job.key.job_id for job in heard.dropped] == ["3333"]


async def test_what_may_be_old_is_said() -> None:
    """That nobody confirms the projection, and that somebody does again, is told."""
    stale = event("stale", {"lag": None, "since": "2020-10-01T01:00:00Z"})
    script = Script([[stale, event("fresh", {}), event("snapshot", [one("3333", 5)], "a")]], [timeline("3333", 5)])
    heard = Heard()
    await watch(script, heard=heard)
    assert heard.said == [
        "what is shown may be old: nobody has confirmed it since 2020-10-01T01:00:00Z",
        "what is shown is confirmed again",
    ]


async def test_why_a_job_stands_still_is_told() -> None:
    """A job under way has the most urgent cause's sentence."""
    cause = {"code": "WORKER:SILENT", "hint": "Its worker has said nothing for 20 minutes."}
    script = Script([[event("snapshot", [one("3333", 3)], "a"), b""]], [timeline("3333", 1, 3, diagnosis=[cause])])
    script.stays_open = True
    heard = Heard()
    ended = await watch(script, heard=heard, limit_seconds=2.0)
    assert ended.ending is Ending.GAVE_UP
    assert (heard.jobs[-1].story.diagnosis, heard.jobs[-1].story.hint) == (cause["code"], cause["hint"])


async def test_several_jobs_that_are_named() -> None:
    """Each job that is named has a stream of its own, and all of them must come to their end."""
    script = Script([[event("snapshot", [one("a", 5)])], [event("snapshot", [one("b", 5)])]], [timeline("a", 5)])
    script.timelines.append(timeline("b", 5, outcome="cancelled"))
    queries = [Query(job_id="a"), Query(job_id="b")]
    ended = await watch(Script([], script.timelines), *queries)
    assert (ended.ending, [job.key.job_id for job in ended.jobs]) == (Ending.CANCELLED, ["b"])
    assert (await watch(script, *queries, is_any_enough=True)).ending is Ending.SUCCEEDED
