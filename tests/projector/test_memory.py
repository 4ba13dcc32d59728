"""Redis' memory: which policies may drop a key of ours."""

import pytest

from projector.store.memory import Memory, why_incomplete, why_unsafe


def memory(policy: str, evicted_keys: int = 0) -> Memory:
    """Return what a Redis with this policy says."""
    return Memory("", policy, evicted_keys, "1M", "0B")


@pytest.mark.parametrize("policy", ["noeviction", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"])
def test_a_policy_that_drops_only_what_has_a_lifetime_is_safe(policy: str) -> None:
    """What providers set by default is taken: no key of ours has a lifetime."""
    assert why_unsafe(memory(policy), "here") is None


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_a_policy_that_drops_any_key_is_refused(policy: str) -> None:
    """A policy that drops any key is named, with what to set instead."""
    assert f"maxmemory-policy is {policy}" in str(why_unsafe(memory(policy), "here"))


def test_keys_of_others_may_be_dropped() -> None:
    """Keys that were dropped are ours but where the policy drops only those with a lifetime."""
    assert why_incomplete(memory("volatile-lru", 7), "here") is None
    assert "has dropped 7 keys" in str(why_incomplete(memory("noeviction", 7), "here"))
