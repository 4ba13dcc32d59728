"""An import changes nothing unless it is whole, and disturbs nobody."""

import asyncio
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from redis.asyncio import Redis

from projector.errors import LeaseLostError
from projector.operating.progress import progress
from projector.replay.archive.importing import import_archive
from projector.replay.archive.lines import ArchiveError
from projector.replay.archive.stream import ArchiveReader, archive_source
from projector.settings import ProjectorSettings
from projector.store.catalog import Catalog
from projector.store.live import Live, LogIdentity
from schemas.redis_layout import CUTOFF, JOB, KEPT, LEASE, SKIPPED, KeptGeneration, bucket_prefix, pointer_key
from service.redis import connect
from tests.support.archives import content_of, sealed
from tests.support.deployment import Deployment, wait_for
from tests.support.events import event
from tests.support.opening import known
from tests.support.peak import peak_mib
from tests.support.refold import refold, stored
from tests.support.services import Services

# What is measured: 60,000 jobs are 36 MB, and neither command may take half of that more for them than for 300.
MANY_JOBS = 30_000
MORE_MIB = 15
Lines = list[bytes]


@pytest.fixture
def archive(stopped: Deployment, tmp_path: Path) -> Path:
    """The archive of a projection that is gone."""
    file = tmp_path / "archive"
    stopped.command("projector", "export", "--output", str(file))
    stopped.forget()
    return file


def begin_import(deployment: Deployment) -> "subprocess.Popen[bytes]":
    """Start an import that waits for its archive."""
    return subprocess.Popen(
        [sys.executable, "-m", "projector", "import"],
        env=deployment.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def feed(importing: "subprocess.Popen[bytes]", content: bytes) -> None:
    """Give an import a part of its archive."""
    assert importing.stdin
    importing.stdin.write(content)
    importing.stdin.flush()


def has_jobs(deployment: Deployment, number: int) -> bool:
    """Tell whether a generation has jobs in Redis."""
    base = bucket_prefix(deployment.prefix, number, 0).replace("{", "[{]")
    return any(True for _ in deployment.redis.scan_iter(match=f"{base}{JOB}*", count=10_000))


def changed(line: bytes, **values: Any) -> bytes:
    """Return a line with other values."""
    return orjson.dumps(orjson.loads(line) | values) + b"\n"


def spoiled(lines: Lines) -> Iterator[tuple[str, bytes]]:
    """Yield archives that must be refused, each behind what is said of it."""
    whole = b"".join(lines)
    jobs, compressed = lines[1:-1], zstandard.ZstdCompressor(write_checksum=True).compress(whole)
    middle = len(compressed) // 2
    flipped = bytearray(whole)
    flipped[whole.index(b"finished 7")] ^= 1
    yield "the archive ends after line 301, without its last line", b"".join(lines[:-1])
    yield "the archive ends within line 302", whole[:-5]
    yield "not those that line 302 has the SHA-256 of", bytes(flipped)
    yield "not those that line 301 has the SHA-256 of", b"".join([*lines[:8], *lines[9:]])
    yield "the archive has 300 jobs, and line 302 says 299", sealed(lines[:-1], jobs=299)
    yield "line 303 of the archive comes after its last line", whole + jobs[0]
    yield "line 1 is not the first line of an archive", b"".join(jobs)
    yield "the archive ends before its first line", b""
    yield "the archive is of format version 2, this release reads version 1", changed(lines[0], version=2) + whole
    yield "line 1 is not the first line of an archive", sealed([changed(lines[0], buckets="1"), *jobs])
    yield "line 5 of the archive is no job (unknown fields ['x'])", sealed([*lines[:4], changed(jobs[3], x="")])
    yield "line 2 of the archive is no job (attempt", sealed([lines[0], changed(jobs[0], attempt="0")])
    yield "line 2 of the archive is no job (a stage", sealed([lines[0], changed(jobs[0], started="yesterday")])
    yield "line 2 of the archive is no job (a detail", sealed([lines[0], changed(jobs[0], message="hello")])
    yield "line 2 of the archive is no job", sealed([lines[0], b"\n"])
    yield "the archive ends", compressed[:middle]
    yield "", compressed[:middle] + bytes([compressed[middle] ^ 1]) + compressed[middle + 1 :]
    yield "was folded by version 99", sealed([changed(lines[0], fold=99), *jobs])
    yield "is of topic 'other'", sealed([changed(lines[0], topic="other"), *jobs])
    yield "on Kafka cluster 'other'", sealed([changed(lines[0], cluster="other"), *jobs])
    beyond = dict.fromkeys(orjson.loads(lines[0])["positions"], 10**6)
    yield "the topic was re-created or cut since then", sealed(lines[:-1], positions=beyond)


def test_what_is_not_whole_is_refused_with_its_line(stopped: Deployment, archive: Path) -> None:
    """Whatever is wrong with an archive, it is named, nothing goes live, and nothing stays behind."""
    lines = archive.read_bytes().splitlines(keepends=True)
    for fault, content in spoiled(lines):
        archive.write_bytes(content)
        with pytest.raises(ArchiveError) as caught:
            asyncio.run(import_here(stopped, archive))
        assert fault in str(caught.value)
        assert "nothing was imported" in str(caught.value)
        left = stopped.hash(pointer_key(stopped.prefix))
        assert left.keys() <= {b"epoch"}, fault
        assert not has_jobs(stopped, 2), fault
    assert "nothing was imported" in stopped.command("projector", "import", str(archive), code=1)


async def import_here(deployment: Deployment, file: Path) -> None:
    """Run an import in this process."""
    settings = ProjectorSettings.load(deployment.environment)
    redis = connect(settings)
    try:
        with archive_source(str(file)) as source, progress("import") as show:
            await import_archive(settings, redis, ArchiveReader(source), None, show)
    finally:
        await redis.aclose()


def test_a_killed_import_is_made_again(stopped: Deployment, archive: Path) -> None:
    """What a killed import left is never read, and the next import removes it."""
    content = archive.read_bytes()
    with begin_import(stopped) as importing:
        # More than is read and joined at once.
        lines = content.splitlines(keepends=True)
        feed(importing, lines[0] + b"".join(lines[1:-1]) * 20)
        wait_for(lambda: has_jobs(stopped, 2), "jobs are written")
        importing.kill()
        importing.communicate()
        assert b"live" not in stopped.hash(pointer_key(stopped.prefix))
        assert "generation 3 is live, with 300 jobs" in stopped.command("projector", "import", str(archive))
        assert not has_jobs(stopped, 2)
        assert [name for name in stopped.hash(pointer_key(stopped.prefix)) if name.startswith(KEPT.encode())] == []
        stopped.start_projector()
        stopped.wait_until_applied()
        assert stored(stopped) == refold(stopped)


def test_an_import_that_is_told_to_stop_removes_what_it_wrote(stopped: Deployment, archive: Path) -> None:
    """Ctrl-C ends an import before it is live, and leaves nothing."""
    lines = archive.read_bytes().splitlines(keepends=True)
    with begin_import(stopped) as importing:
        feed(importing, lines[0] + b"".join(lines[1:-1]) * 20)
        wait_for(lambda: has_jobs(stopped, 2), "jobs are written")
        importing.send_signal(signal.SIGINT)
        importing.communicate(timeout=60)
        assert importing.returncode in {1, 130}  # 1 when the end of its input was noticed first
        assert not has_jobs(stopped, 2)
        assert stopped.hash(pointer_key(stopped.prefix)).keys() == {b"epoch"}


def test_a_projector_that_starts_meanwhile_waits(stopped: Deployment, archive: Path) -> None:
    """Projectors begin no projection of their own while an import is under way, and then go on from it."""
    content = archive.read_bytes()
    with begin_import(stopped) as importing:
        feed(importing, content[:1000])
        wait_for(lambda: LEASE.encode() in stopped.hash(pointer_key(stopped.prefix)), "the import has begun")
        stopped.start_projector()
        wait_for(lambda: "an import is under way" in stopped.logs(), "the projector waits")
        said, _ = importing.communicate(content[1000:], timeout=60)
        assert b"generation 2 is live" in said
        stopped.publish_event(event("finished", job="another"))
        stopped.wait_until_applied()
        assert stopped.generation == 2
        assert not has_jobs(stopped, 1)
        assert stored(stopped) == refold(stopped)


def test_beside_a_live_generation_it_waits_for_a_rollback(folded: Deployment, tmp_path: Path) -> None:
    """What is live stays live until a person switches, and what was imported catches up then."""
    file = str(tmp_path / "archive.zst")
    folded.command("projector", "export", "--zstd", "--output", file)
    folded.publish_event(event("finished", job="another"))
    folded.wait_until_applied()
    said = folded.command("projector", "import", file)
    assert "generation 2 is kept, with 300 jobs, and generation 1 stays live" in said
    assert "`python -m projector generations rollback 2` switches" in said
    assert folded.generation == 1
    assert content_of(folded, folded.prefix, 1).keys() > content_of(folded, folded.prefix, 2).keys()
    folded.command("projector", "generations", "rollback", "2")
    assert folded.generation == 2
    folded.wait_until_applied()
    assert stored(folded) == refold(folded)


def test_beside_a_live_generation_other_decisions_are_refused(stopped: Deployment, tmp_path: Path) -> None:
    """An archive that lacks by command what the live generation has would make it lose that on a rollback."""
    file, key = str(tmp_path / "archive"), pointer_key(stopped.prefix)
    for field, value, fault in (
        (f"{SKIPPED}{stopped.topic}/0/3", "7", f"the archive passes over {stopped.topic}/0 3 to 6 by command"),
        (CUTOFF, "2020-01-01T00:00:00.000000", "no jobs without news since 2020-01-01"),
    ):
        stopped.redis.hset(key, field, value)
        stopped.command("projector", "export", "--output", file)
        assert "generation 2 is kept" in stopped.command("projector", "import", file)
        stopped.command("projector", "generations", "drop", "2")
        stopped.redis.hdel(key, field)
        assert fault in stopped.command("projector", "import", file, code=1)
        assert not has_jobs(stopped, 2)


def test_only_one_import_at_a_time(stopped: Deployment, archive: Path) -> None:
    """A second import is refused and says who is at work."""
    with begin_import(stopped) as importing:
        feed(importing, archive.read_bytes()[:1000])
        wait_for(lambda: LEASE.encode() in stopped.hash(pointer_key(stopped.prefix)), "the import has begun")
        assert "import (process" in stopped.command("projector", "import", str(archive), code=1)
        importing.communicate(archive.read_bytes()[1000:], timeout=60)
        assert importing.returncode == 0


def test_a_rebuild_that_can_be_resumed_stays(stopped: Deployment, archive: Path) -> None:
    """An import removes what imports have left, not what a rebuild has."""
    pointer = orjson.loads(archive.read_bytes().splitlines()[0])
    building = {
        "buckets": 1,
        "fold": pointer["fold"],
        "cluster": pointer["cluster"],
        "topic": pointer["topic"],
        "incarnations": ["x"],
        "state": "building",
        "began": 1,
        "retired": 0,
        "starts": {},
    }
    assert KeptGeneration.from_json(4, orjson.dumps(building)).state == "building"
    stopped.redis.hset(pointer_key(stopped.prefix), f"{KEPT}4", orjson.dumps(building))
    assert "generation 5 is live" in stopped.command("projector", "import", str(archive))
    assert f"{KEPT}4".encode() in stopped.hash(pointer_key(stopped.prefix))


async def test_an_import_that_slept_too_long_replaces_nothing(services: Services) -> None:
    """Once a projector began a projection because the lease was over, the import that had it can switch no more."""
    redis, prefix = Redis.from_url(services.redis_url), f"slept-{uuid.uuid4().hex[:8]}"
    catalog = Catalog(redis, prefix)
    lease = await catalog.take_lease("import")
    await redis.hset(pointer_key(prefix), LEASE, f"{lease.token} 1 import")
    store = Live(redis, prefix, LogIdentity("cluster", "t"))
    await store.open(known({}))
    for step in (
        catalog.renew(lease, "import"),
        catalog.switch(lease, KeptGeneration(store.generation.pointer, "", 0), None),
    ):
        with pytest.raises(LeaseLostError):
            await step
    await redis.delete(*[key async for key in redis.scan_iter(match=f"{prefix}:*")])
    await redis.aclose()


@pytest.mark.long(100)
@pytest.mark.timeout(300)
def test_memory_is_bounded_however_many_jobs_there_are(stopped: Deployment, archive: Path, tmp_path: Path) -> None:
    """Neither command holds more than some of the jobs at a time."""
    header, job = archive.read_bytes().splitlines(keepends=True)[:2]
    large, again = tmp_path / "large", str(tmp_path / "again")
    large.write_bytes(sealed([header, *(changed(job, jobId=f"many-{number}") for number in range(MANY_JOBS))]))
    small_import = peak_mib(stopped, "import", str(archive))
    small_export = peak_mib(stopped, "export", "--output", again)
    stopped.forget()
    assert large.stat().st_size > 1.2 * MORE_MIB * 2**20  # its lines alone would be too much
    assert peak_mib(stopped, "import", str(large)) < small_import + MORE_MIB
    assert peak_mib(stopped, "export", "--zstd", "--output", again) < small_export + MORE_MIB
    stopped.forget()
    assert peak_mib(stopped, "import", again) < small_import + MORE_MIB
