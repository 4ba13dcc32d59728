"""When there is no right answer: 503 with how far it is, never an empty array."""

import asyncio
from typing import Any

import pytest

from api.projection import live
from schemas.redis_layout import FLOOR, FOLD_VERSION, HEARTBEATS, INCARNATION, JOB, META, POSITIONS, SEALED, pointer_key
from tests.support.client import STATUS, TIMELINE, Answer, Client, StartApi
from tests.support.seeding import PARTITION, Job, Projection
from tests.support.waiting import until


async def refusal(api: Client, query: str = "owner=0x1111") -> str:
    """Return the sentence with which status and timeline both refuse."""
    status, timeline = await api.status(query), await api.get(f"{TIMELINE}?{query}")
    for answer in (status, timeline):
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert {"Projection-Lag", "Projection-Heartbeat"} <= answer.headers.keys()
    assert status.error == timeline.error
    return status.error


async def answered(api: Client, status: int = 200) -> Answer:
    """Return the first answer with this status."""

    async def ask() -> Answer | None:
        answer = await api.status("owner=0x1111")
        return answer if answer.status == status else None

    answer: Answer = await until(ask, f"an answer with status {status}")
    return answer


async def test_without_a_projection(start_api: StartApi, redis: Any) -> None:
    """Before the projector's first start the answer says to start it, and readiness says the same."""
    api = await start_api("test-nothing-here")
    assert await refusal(api) == "There is no projection yet: start the projector"
    ready = await api.get("/readyz?verbose")
    assert ready.status == 503
    assert ready.body.decode().splitlines() == [
        "[+] process: ok",
        "[+] redis: ok",
        "[-] projection: There is no projection yet: start the projector",
        "not ready",
    ]
    assert (await api.get("/livez")).status == 200
    projection = Projection(redis, "test-nothing-here")
    await projection.begin()
    assert (await answered(api)).body == b"[]"
    assert (await api.get("/readyz")).body == b"ready\n"
    await projection.delete()


async def test_while_it_is_filled(api: Client, projection: Projection) -> None:
    """Below the floor the answer says how far it is, and at the floor there is one."""
    await projection.put([Job()])
    floors = {FLOOR + PARTITION: "100", FLOOR + "job-events/1": "100"}
    await projection.redis.hset(projection.key(META), mapping=floors)
    assert await refusal(api) == "The projection is rebuilding, 0 %"
    await projection.stand({PARTITION: 3, "job-events/1": 0}, {PARTITION: 100, "job-events/1": 100})
    headers = (await api.status("owner=0x1111")).headers
    assert (headers["Projection-Lag"], headers["Projection-Generation"]) == ("197", "1")
    await projection.stand({PARTITION: 100, "job-events/1": 26})
    assert await refusal(api) == "The projection is rebuilding, 63 %"
    assert b"rebuilding, 63 %" in (await api.get("/readyz")).body
    await projection.stand({"job-events/1": 100})
    assert len(await api.jobs("owner=0x1111")) == 1


async def test_an_empty_log_is_ready_at_once(api: Client, projection: Projection) -> None:
    """A projection that was begun on an empty log has nothing to catch up with."""
    await projection.redis.hset(projection.key(META), FLOOR + PARTITION, "0")
    assert await api.jobs("owner=0x1111") == []


async def test_when_the_store_was_flushed(api: Client, projection: Projection) -> None:
    """After everything was deleted there is no empty array, however long ago the pointer was read."""
    await projection.put([Job()])
    assert len(await api.jobs("owner=0x1111")) == 1
    await projection.delete()
    assert await refusal(api) == "There is no projection yet: start the projector"
    await projection.begin({PARTITION: 4})
    assert "rebuilding" in (await answered(api, 503)).error
    await projection.stand({PARTITION: 4})
    assert (await answered(api)).body == b"[]"


async def test_when_a_bucket_is_gone_or_another_one(api: Client, projection: Projection) -> None:
    """A bucket without meta, or with another incarnation than the pointer's, is not shown until it is announced."""
    await projection.put([Job()])
    await projection.redis.delete(projection.key(META))
    assert "gone from the store" in await refusal(api)
    await projection.redis.hset(projection.key(META), INCARNATION, "second")
    assert "not announced yet" in await refusal(api)
    await projection.redis.hset(pointer_key(projection.prefix), f"{INCARNATION}:0", "second")
    assert (await api.status("owner=0x1111")).status == 200  # the pointer is read again before anybody is refused


async def test_when_the_store_lost_what_was_shown(api: Client, projection: Projection) -> None:
    """What was shown is not taken back: a store that lost its last second is refused until it has it again."""
    await projection.put([Job()])
    await projection.stand({PARTITION: 10, "job-events/1": 5})
    assert len(await api.jobs("owner=0x1111")) == 1
    await projection.stand({PARTITION: 7})
    assert "3 are being applied again" in await refusal(api)
    await projection.redis.hdel(projection.key(POSITIONS), "job-events/1")
    assert "8 are being applied again" in await refusal(api)
    await projection.stand({PARTITION: 11, "job-events/1": 5})
    assert len(await api.jobs("owner=0x1111")) == 1


async def test_a_new_incarnation_may_be_behind_the_old_one(api: Client, projection: Projection) -> None:
    """A bucket that was begun anew has another history, and may stand lower than the one before."""
    await projection.stand({PARTITION: 10})
    assert await api.jobs("owner=0x1111") == []
    await projection.delete()
    projection.incarnation = "second"
    await projection.begin()
    await projection.stand({PARTITION: 2})
    assert await api.jobs("owner=0x1111") == []


async def test_a_switch_of_generations(api: Client, projection: Projection) -> None:
    """Readers see the old generation or the new one, also while the old one is sealed, and soon the new one."""
    await projection.put([Job()])
    assert (await api.status("owner=0x1111")).headers["Projection-Generation"] == "1"
    following = Projection(projection.redis, projection.prefix, generation=2, buckets=3)
    pointer = await projection.redis.hgetall(pointer_key(projection.prefix))
    await following.begin()
    await projection.redis.delete(pointer_key(projection.prefix))
    await projection.redis.hset(pointer_key(projection.prefix), mapping=pointer)
    await following.put([Job(), Job(job_id="4444")])
    await projection.redis.hset(projection.key(META), SEALED, "7")
    sealed = await api.status("owner=0x1111")
    assert (sealed.headers["Projection-Generation"], len(sealed.json())) == ("1", 1)
    await following.begin()

    async def has_switched() -> bool:
        answer = await api.status("owner=0x1111")
        seen = (answer.headers["Projection-Generation"], len(answer.json()))
        assert seen in {("1", 1), ("2", 2)}
        return seen[0] == "2"

    await until(has_switched, "the new generation is read", live.POINTER_VALID_SECONDS / 2)
    await projection.redis.delete(projection.key(META))
    assert len(await api.jobs("owner=0x1111")) == 2


async def test_a_switch_from_what_is_not_ready(api: Client, projection: Projection) -> None:
    """A generation that takes the place of one that is not ready is read as soon as it does."""
    await projection.redis.hset(projection.key(META), FLOOR + PARTITION, "100")
    assert "rebuilding" in await refusal(api)
    await Projection(projection.redis, projection.prefix, generation=2).begin()

    async def has_switched() -> bool:
        return (await api.status("owner=0x1111")).status == 200

    await until(has_switched, "the new generation is read", live.POINTER_VALID_SECONDS / 2)


async def test_another_fold_version_is_not_read(start_api: StartApi, projection: Projection) -> None:
    """A projection that was made by other rules is refused with the versions of both."""
    await projection.begin(fold_version=FOLD_VERSION + 1)
    api = await start_api(projection.prefix)
    assert f"fold version {FOLD_VERSION + 1}, this API reads version {FOLD_VERSION}" in await refusal(api)


@pytest.mark.parametrize("fields", [{"live": "x"}, {"buckets": ""}, {"fold": "1.5"}])
async def test_a_damaged_pointer_is_told(start_api: StartApi, projection: Projection, fields: dict[str, str]) -> None:
    """A pointer that cannot be understood is told, and mended it is used at once."""
    pointer = pointer_key(projection.prefix)
    await projection.redis.hset(pointer, mapping=fields)
    api = await start_api(projection.prefix)
    assert await refusal(api) == "The pointer to the live generation is damaged"
    await projection.begin()
    assert await api.jobs("owner=0x1111") == []


@pytest.mark.parametrize("key", ["owner:0x1111", "agreement:0x2222", "jobid:3333", "job"])
async def test_a_key_of_a_wrong_type_spoils_only_the_answers_it_is_in(
    api: Client, projection: Projection, key: str
) -> None:
    """A damaged key makes the answers that need it 503, and no other."""
    await projection.put([Job(), Job("0x9", "0x8", "7")])
    broken = projection.key(JOB + Job().member if key == "job" else key)
    await projection.redis.delete(broken)
    await projection.redis.set(broken, "?")
    query = "owner=0x1111&agreementId=0x2222&jobId=3333"
    answers = await asyncio.gather(*(api.status(query if number % 2 else "owner=0x9") for number in range(10)))
    assert [answer.status for answer in answers] == [200, 503] * 5
    assert "damaged" in answers[1].error


@pytest.mark.parametrize("key", [META, POSITIONS, HEARTBEATS])
async def test_a_bucket_whose_own_keys_are_damaged_is_not_shown(api: Client, projection: Projection, key: str) -> None:
    """Without knowing where a bucket stands nothing of it is shown."""
    await projection.put([Job()])
    await projection.redis.delete(projection.key(key))
    await projection.redis.set(projection.key(key), "?")
    assert await refusal(api) == "The store cannot be read: it reports an error"


@pytest.mark.parametrize("key", [META, POSITIONS, HEARTBEATS])
@pytest.mark.parametrize("value", ["?", "1 2 3", b"\xff", "9" * 16])
async def test_a_bucket_whose_own_fields_are_damaged_is_not_shown(
    api: Client, projection: Projection, key: str, value: str | bytes
) -> None:
    """Where a position, a floor or a heartbeat is no number the answer is 503, and right again once it is mended."""
    await projection.put([Job()])
    field = f"floor:{PARTITION}" if key == META else PARTITION
    before = await projection.redis.hget(projection.key(key), field)
    await projection.redis.hset(projection.key(key), field, value)
    assert await refusal(api) == "The store is damaged: the projector mends it"
    if before is None:
        await projection.redis.hdel(projection.key(key), field)
    else:
        await projection.redis.hset(projection.key(key), field, before)
    assert await api.jobs("owner=0x1111")


async def test_bad_questions_are_refused_before_the_store_is_asked(start_api: StartApi) -> None:
    """A question that is wrong is 400 and not 503, and so are bad credentials 401, whatever the store says."""
    api = await start_api("test-nothing-here", API_ADMIN_TOKENS="sesame-sesame-16")
    assert (await api.get(STATUS)).status == 400
    assert (await api.status("owner=0x1", Authorization="Bearer x")).status == 401
