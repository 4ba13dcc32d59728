"""How old the projection may be, and what readiness and metrics say of that though nobody asks for jobs."""

import re
from math import isnan

import pytest

from tests.support.client import Client, StartApi
from tests.support.seeding import PARTITION, Job, Projection


async def lag(api: Client) -> float:
    """Return the lag that the metrics show."""
    found = re.search(rb"^api_projection_lag_events (\S+)$", (await api.get("/metrics")).body, re.MULTILINE)
    assert found
    return float(found[1])


async def test_the_lag_is_not_a_number_until_it_is_known(api: Client, projection: Projection) -> None:
    """Before anybody asked, and while nobody knows it, the metric is NaN; readiness keeps it true by itself."""
    assert isnan(await lag(api))
    await projection.stand({PARTITION: 3}, {PARTITION: 5})
    assert (await api.get("/readyz")).status == 200
    assert await lag(api) == 2
    await projection.stand({}, {PARTITION: 5}, age=6000)
    assert (await api.get("/readyz")).status == 200
    assert isnan(await lag(api))
    await projection.stand({}, {PARTITION: 5})
    await api.jobs("owner=0x1111")
    assert await lag(api) == 2
    await projection.delete()
    assert (await api.status("owner=0x2222")).status == 503
    assert isnan(await lag(api))


async def test_readiness_and_metrics_name_what_is_held(api: Client, projection: Projection) -> None:
    """What is held leaves the API ready; `?verbose` and a metric name it, as answers do."""
    await projection.stand({PARTITION: 3}, {PARTITION: 5})
    beat = await projection.redis.hget(projection.key("heartbeats"), PARTITION)
    milliseconds = beat.split()[0].decode()
    await projection.redis.hset(projection.key("heartbeats"), PARTITION, f"{milliseconds} - log-replaced")
    await projection.redis.hset(projection.key("heartbeats"), "job-events/1", f"{milliseconds} 1 letters-away")
    ready = await api.get("/readyz?verbose")
    assert ready.status == 200
    line = r"\[!\] projection: how many events are missing is unknown, confirmed last at \S+Z; "
    assert re.search(line + "held: letters-away, log-replaced\n", ready.body.decode())
    metrics = (await api.get("/metrics")).body
    for code, is_held in (("log-replaced", 1), ("letters-away", 1), ("unreadable", 0)):
        assert f'api_projection_held{{code="{code}"}} {is_held}.0'.encode() in metrics
    answer = await api.status("owner=0x1111")
    assert answer.headers["Projection-Held"] == "letters-away, log-replaced"
    assert answer.headers["Projection-Lag"] == "unknown"


@pytest.mark.parametrize(
    ("age", "sentence"),
    [
        (7000, r"Nobody has confirmed the projection since \S+Z: no projector runs"),
        (-60_000, "Nobody knows how old the projection is"),
        (None, "Nobody has confirmed the projection yet"),
    ],
)
async def test_what_is_too_old_is_not_answered(
    start_api: StartApi, projection: Projection, age: int | None, sentence: str
) -> None:
    """With MAX_STALENESS_SECONDS an answer that nobody has confirmed for so long is a 503, and so is readiness."""
    await projection.put([Job()])
    await projection.stand({PARTITION: 3}, {PARTITION: 3})
    limited = await start_api(projection.prefix, MAX_STALENESS_SECONDS="6")
    unlimited = await start_api(projection.prefix)
    assert len(await limited.jobs("owner=0x1111")) == 1
    if age is None:
        await projection.redis.delete(projection.key("heartbeats"))
    else:
        await projection.stand({}, {PARTITION: 3}, age=age)
    answer = await limited.status("owner=0x1111")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert re.match(sentence, answer.error)
    ready = await limited.get("/readyz")
    assert ready.status == 503
    assert re.search(sentence, ready.body.decode())
    assert len(await unlimited.jobs("owner=0x1111")) == 1
    assert (await unlimited.get("/readyz")).status == 200
    await projection.stand({}, {PARTITION: 3})
    assert len(await limited.jobs("owner=0x1111")) == 1
