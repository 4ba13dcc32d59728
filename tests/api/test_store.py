"""The store: what is said of a Redis that cannot be read."""

import pytest

from api.metrics import Metrics
from api.projection.errors import StoreUnavailableError
from api.projection.store import Store
from api.settings import ApiSettings
from service.redis import connect


async def test_a_redis_that_is_not_there_is_told_without_its_address() -> None:
    """The sentence for those who ask tells that the store is away, not where it should be."""
    redis = connect(ApiSettings.load({"REDIS_URL": "redis://127.0.0.1:1"}))
    with pytest.raises(StoreUnavailableError) as caught:
        await Store(redis, Metrics()).read_hash("test")
    assert str(caught.value) == "The store cannot be read: no connection"
    await redis.aclose()
