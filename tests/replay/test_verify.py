"""Verify: whatever is damaged is found, named and mended, and nothing else is ever called wrong."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest
from redis import Redis

from schemas.job_hash import identifier_in
from schemas.redis_layout import INDEXES, JOB, LEDGER, bucket_prefix
from tests.support.deployment import Deployment
from tests.support.refold import refold
from tests.support.services import Services
from tests.support.simulated import messages
from tests.support.verifying import assert_equal, verified

pytestmark = pytest.mark.group("verify")

JOBS = 300
# Damages what is stored under this prefix and returns what must be said of it.
Damage = Callable[["Target"], list[str]]


@dataclass(frozen=True)
class Target:
    """A right projection, to be damaged: its jobs' members and fields as they were."""

    deployment: Deployment
    base: str
    jobs: list[tuple[str, dict[str, str]]]

    @property
    def redis(self) -> Redis:
        """Where it is stored."""
        return self.deployment.redis

    def score(self, key: str, member: str) -> str:
        """Return a job's place in an index, as verify shows it."""
        return f"{self.redis.zscore(self.base + key, member):.0f}"


@pytest.fixture(scope="module")
def target(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A whole projection of some simulated jobs; nobody writes it any more."""
    with Deployment(services, f"verify-{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("verify")) as deployment:
        deployment.publish(messages(seed=5, jobs=JOBS))
        process = deployment.start_projector()
        deployment.wait_until_applied()
        deployment.stop(process)
        content = refold(deployment)
        jobs = [(key.removeprefix(JOB), as_named(content[key])) for key in sorted(content) if key.startswith(JOB)]
        yield Target(deployment, bucket_prefix(deployment.prefix, 1, 0), jobs)


def as_named(stored: dict[str, str]) -> dict[str, str]:
    """Return what a hash holds, its identifiers as they were reported."""
    return stored | {name: identifier_in(stored[name]) for name in ("owner", "agreementId", "jobId")}


def named(fields: dict[str, str]) -> str:
    """Return how a job is named."""
    return "job " + " ".join(f"{name}={fields[name]}" for name in ("owner", "agreementId", "jobId", "attempt"))


def changed_field(target: Target) -> list[str]:
    """A register is another one."""
    member, fields = target.jobs[1]
    target.redis.hset(target.base + JOB + member, "finished", "rubbish")
    return [f"{named(fields)}: field finished: stored 'rubbish', log says {fields['finished']!r}"]


def removed_field(target: Target) -> list[str]:
    """A register is gone."""
    member, fields = target.jobs[2]
    target.redis.hdel(target.base + JOB + member, "started")
    return [f"{named(fields)}: field started: stored nothing, log says {fields['started']!r}"]


def changed_identity(target: Target) -> list[str]:
    """A job says that it is somebody else's."""
    member, fields = target.jobs[3]
    target.redis.hset(target.base + JOB + member, "owner", "0xbad")
    return [f"{named(fields)}: field owner: stored '0xbad', log says {fields['owner']!r}"]


def changed_identity_with_an_entry(target: Target) -> list[str]:
    """A job says that it is somebody else's, and is in the index of that one."""
    member, fields = target.jobs[12]
    target.redis.hset(target.base + JOB + member, "owner", "0xbad2")
    target.redis.zadd(target.base + "owner:0xbad2", {member: 4})
    return [
        f"{named(fields)}: field owner: stored '0xbad2', log says {fields['owner']!r}",
        f"{named(fields)}: surplus index entry owner:0xbad2: stored '4', log says nothing",
    ]


def surplus_field(target: Target) -> list[str]:
    """A job has a field that nobody writes."""
    member, fields = target.jobs[4]
    target.redis.hset(target.base + JOB + member, "price", "7")
    return [f"{named(fields)}: field price: stored '7', log says nothing"]


def removed_job(target: Target) -> list[str]:
    """A job is gone, its index entries are left."""
    member, fields = target.jobs[5]
    target.redis.delete(target.base + JOB + member)
    return [f"{named(fields)}: missing job"]


def removed_whole_job(target: Target) -> list[str]:
    """A job is gone with its index entries."""
    member, fields = target.jobs[6]
    target.redis.delete(target.base + JOB + member)
    lines = [f"{named(fields)}: missing job"]
    for index, name in zip(INDEXES, ("owner", "agreementId", "jobId"), strict=True):
        key = index + fields[name]
        score = target.score(key, member)
        target.redis.zrem(target.base + key, member)
        lines.append(f"{named(fields)}: missing index entry {key}: stored nothing, log says '{score}'")
    return lines


def surplus_job(target: Target) -> list[str]:
    """A job of which the log knows nothing, with an index entry."""
    target.redis.hset(f"{target.base}{JOB}nobodya1", mapping={"owner": "0x7", "agreementId": "a", "jobId": "b"})
    target.redis.zadd(f"{target.base}owner:0x7", {"nobodya1": -5})
    return [
        "job nobodya1: surplus job",
        "job nobodya1: surplus index entry owner:0x7: stored '-5', log says nothing",
    ]


def odd_surplus_job(target: Target) -> list[str]:
    """A job whose key and field are not even text."""
    target.redis.hset((target.base + JOB).encode() + b"\xff\xfe", b"\xfa", b"\xfb")
    target.redis.zadd((target.base + "owner:").encode() + b"\xfc", {b"\xff\xfe": 1})
    return [
        r"job \xff\xfe: surplus job",
        r"job \xff\xfe: surplus index entry owner:\xfc: stored '1', log says nothing",
    ]


def wrong_score(target: Target) -> list[str]:
    """An index has a job at a wrong place."""
    member, fields = target.jobs[7]
    key = f"owner:{fields['owner']}"
    score = target.score(key, member)
    target.redis.zadd(target.base + key, {member: 1})
    return [f"{named(fields)}: score {key}: stored '1', log says '{score}'"]


def removed_entry(target: Target) -> list[str]:
    """An index lacks a job."""
    member, fields = target.jobs[8]
    key = f"jobid:{fields['jobId']}"
    score = target.score(key, member)
    target.redis.zrem(target.base + key, member)
    return [f"{named(fields)}: missing index entry {key}: stored nothing, log says '{score}'"]


def surplus_entry(target: Target) -> list[str]:
    """An index has a job of another owner."""
    member, fields = target.jobs[9]
    target.redis.zadd(target.base + "owner:0xbad", {member: 3})
    return [f"{named(fields)}: surplus index entry owner:0xbad: stored '3', log says nothing"]


def surplus_entry_of_nobody(target: Target) -> list[str]:
    """An index has a job that is nowhere."""
    target.redis.zadd(target.base + "agreement:0xbad", {"ghosta1": 3})
    return ["job ghosta1: surplus index entry agreement:0xbad: stored '3', log says nothing"]


def wrong_typed_job(target: Target) -> list[str]:
    """The key of a job holds a text."""
    member, fields = target.jobs[10]
    target.redis.delete(target.base + JOB + member)
    target.redis.set(target.base + JOB + member, "text")
    return [f"{named(fields)}: wrong type: stored 'string', log says 'hash'"]


def wrong_typed_index(target: Target) -> list[str]:
    """The key of an index holds a text."""
    _, fields = target.jobs[11]
    key = f"jobid:{fields['jobId']}"
    attempts = [found for _, found in target.jobs if found["jobId"] == fields["jobId"]]
    target.redis.delete(target.base + key)
    target.redis.set(target.base + key, "text")
    return [f"{named(found)}: wrong type {key}: stored 'string', log says 'zset'" for found in attempts]


def wrong_typed_surplus_index(target: Target) -> list[str]:
    """The key of an index that should not be there holds a text."""
    target.redis.set(target.base + "owner:0x77", "text")
    return ["index: wrong type owner:0x77: stored 'string', log says nothing"]


def ledger_off_by_one(target: Target) -> list[str]:
    """A ledger counts one too many."""
    name = f"{target.deployment.topic}/1"
    before = dict(target.deployment.hash(target.base + "positions"))
    target.redis.hincrby(target.base + "positions", name + "#applied", 1)
    counts = [int(before.get((name + suffix).encode(), 0)) for suffix in LEDGER]
    counts[0] += 1
    return [f"{name}: ledger: stored '{' + '.join(map(str, counts))}', log says"]


def position_beyond_the_end(target: Target) -> list[str]:
    """A position is beyond the end of the log."""
    name, end = f"{target.deployment.topic}/2", target.deployment.log_ends()[2]
    target.redis.hset(target.base + "positions", name, str(end + 100))
    return [f"position {end + 100} of {name} is beyond the log's end {end}"]


def floor_beyond_the_end(target: Target) -> list[str]:
    """A floor will never be reached."""
    name, end = f"{target.deployment.topic}/0", target.deployment.log_ends()[0]
    target.redis.hset(target.base + "meta", f"floor:{name}", str(end + 1))
    return [f"floor {end + 1} of {name} is beyond the log's end {end}"]


DAMAGES = [
    changed_field,
    removed_field,
    changed_identity,
    changed_identity_with_an_entry,
    surplus_field,
    removed_job,
    removed_whole_job,
    surplus_job,
    odd_surplus_job,
    wrong_score,
    removed_entry,
    surplus_entry,
    surplus_entry_of_nobody,
    wrong_typed_job,
    wrong_typed_index,
    wrong_typed_surplus_index,
    ledger_off_by_one,
    position_beyond_the_end,
    floor_beyond_the_end,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_is_damaged_is_found_named_and_mended(target: Target, damage: Damage) -> None:
    """Each damage is named exactly, nothing else is, and repair mends it."""
    check_damage(target, [damage])


def test_all_damages_at_once(target: Target) -> None:
    """Damages do not hide each other."""
    check_damage(target, DAMAGES)


def check_damage(target: Target, damages: Sequence[Damage]) -> None:
    """Damage what is right, and see it found and mended."""
    expected = [line for damage in damages for line in damage(target)]
    said, findings = verified(target.deployment)
    assert_said(said, expected)
    assert not findings.is_right
    mended, findings = verified(target.deployment, repair=True, trust_log=True)
    assert_said(mended, expected)
    assert all(line.endswith(" (mended)") for line in mended)
    assert findings.is_right
    assert_equal(target.deployment)


def assert_said(said: list[str], expected: list[str]) -> None:
    """Hold lines against how lines must begin, each against one, whatever their order."""
    begins = sorted(expected)
    assert len(said) == len(begins), f"{sorted(said)} instead of {begins}"
    assert all(line.startswith(begin) for line, begin in zip(sorted(said), begins, strict=True)), sorted(said)


def test_a_clean_projection_is_equal(target: Target) -> None:
    """Nothing is found where nothing is wrong, dead letters included, and every job is compared."""
    findings = assert_equal(target.deployment)
    assert findings.jobs == len(target.jobs)
    assert findings.records == sum(target.deployment.log_ends().values())
