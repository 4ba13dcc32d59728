"""A projection is written down while it lives, and goes on elsewhere from what was written."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from projector.store.ledger import ledgers
from schemas.redis_layout import CARRIED, CUTOFF, JOB, SKIPPED, STARTS, bucket_prefix, pointer_key
from tests.support.archives import content_of, positions_of
from tests.support.deployment import Deployment, get, wait_for
from tests.support.events import event
from tests.support.refold import refold, stored
from tests.support.streams import streaming

QUERY = "/api/v1/operator/status?owner=0x1111"


def begin(deployment: Deployment, module: str, *arguments: str, **streams: Any) -> "subprocess.Popen[bytes]":
    """Start a command whose streams the test holds."""
    return subprocess.Popen([sys.executable, "-m", module, *arguments], env=deployment.environment, **streams)


def test_a_projection_goes_on_where_its_archive_was_written(stopped: Deployment, tmp_path: Path) -> None:
    """What an import makes is what was exported, byte for byte, and projectors go on from its positions."""
    file = str(tmp_path / "archive")
    before = content_of(stopped, stopped.prefix, 1), positions_of(stopped, stopped.prefix, 1)
    assert "300 jobs of generation 1 exported" in stopped.command("projector", "export", "--output", file)
    stopped.forget()
    assert "generation 2 is live, with 300 jobs" in stopped.command("projector", "import", file)
    assert (content_of(stopped, stopped.prefix, 2), positions_of(stopped, stopped.prefix, 2)) == before
    stopped.publish_event(event("finished", job="another"))
    stopped.start_projector()
    stopped.wait_until_applied()
    assert stopped.generation == 2
    assert stored(stopped) == refold(stopped)
    accounts = ledgers([positions_of(stopped, stopped.prefix, 2)])
    assert all(account.is_closed for account in accounts.values())
    assert sum(account.applied + account.known for account in accounts.values()) == 1501


def test_events_go_on_while_it_is_exported(folded: Deployment) -> None:
    """An archive that took its time is as old as its first line says: what came later is applied, and hidden before."""
    with streaming(folded):
        exporting = begin(folded, "projector", "export", stdout=subprocess.PIPE)
        assert exporting.stdout
        header = exporting.stdout.readline()  # the rest is more than a pipe holds
        began = sum(folded.positions().values())
        wait_for(lambda: sum(folded.positions().values()) > began + 50, "events are applied meanwhile")
        archive = header + exporting.stdout.read()
        exporting.stdout.close()
        assert exporting.wait(60) == 0
    first, last = orjson.loads(header), orjson.loads(archive.splitlines()[-1])
    positions = {name: one["next"] for name, one in first["positions"].items()}
    assert sum(positions.values()) <= sum(last["positions"].values()) - 50
    folded.stop_all()
    folded.forget()
    importing = begin(folded, "projector", "import", stdin=subprocess.PIPE)
    importing.communicate(archive, timeout=60)
    assert importing.returncode == 0
    assert {name: positions[f"{folded.topic}/{name}"] for name in folded.positions()} == folded.positions()
    api = folded.start_api()
    status, _, body = get(api, QUERY)
    assert status == 503
    assert "rebuilding" in body["error"]
    folded.start_projector()
    wait_for(lambda: get(api, QUERY)[0] == 200, "the API answers")
    folded.wait_until_applied()
    assert stored(folded) == refold(folded)


def test_a_pipe_moves_a_projection_from_one_redis_to_another(folded: Deployment) -> None:
    """Two processes and a pipe, compressed, are a whole move; nothing is stored between them."""
    other = folded.prefix + ":moved"
    export = begin(folded, "projector", "export", "--zstd", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    folded.environment["REDIS_PREFIX"] = other
    moved = begin(folded, "projector", "import", "-", stdin=export.stdout, stdout=subprocess.PIPE)
    assert export.stdout
    export.stdout.close()
    said, _ = moved.communicate(timeout=60)
    _, errors = export.communicate(timeout=60)
    assert (export.returncode, moved.returncode) == (0, 0), errors
    assert b"generation 2 is live, with 300 jobs" in said
    assert content_of(folded, other, 2) == content_of(folded, folded.prefix, 1)


@pytest.mark.parametrize(("buckets", "back"), [("3", "1"), ("2", "5")])
def test_an_import_may_divide_a_projection_anew(stopped: Deployment, tmp_path: Path, buckets: str, back: str) -> None:
    """Into however many buckets it goes, and however many it comes from, the jobs and the ledger's sums stay."""
    file = str(tmp_path / "archive")
    jobs, accounts = content_of(stopped, stopped.prefix, 1), ledgers([positions_of(stopped, stopped.prefix, 1)])
    for count in (buckets, back):
        stopped.command("projector", "export", "--output", file)
        stopped.forget()
        stopped.command("projector", "import", file, "--buckets", count)
        stopped.command("projector", "verify")
        assert content_of(stopped, stopped.prefix, 2, int(count)) == jobs
        each = [positions_of(stopped, stopped.prefix, 2, bucket) for bucket in range(int(count))]
        assert ledgers(each) == accounts
    stopped.publish_event(event("finished", job="another"))
    stopped.start_projector()
    stopped.wait_until_applied()
    wait_for(lambda: content_of(stopped, stopped.prefix, 2, int(back)) != jobs, "the event is applied")
    each = [positions_of(stopped, stopped.prefix, 2, bucket) for bucket in range(int(back))]
    wait_for(lambda: all(account.is_closed for account in ledgers(each).values()), "the ledger closes")


def test_decisions_of_people_move_too(stopped: Deployment, tmp_path: Path) -> None:
    """Skipped ranges, the cutoff, where the fold began, and which jobs were carried over come with the archive."""
    file, key = str(tmp_path / "archive"), pointer_key(stopped.prefix)
    decided = {
        f"{SKIPPED}{stopped.topic}/0/3": b"7",
        CUTOFF: b"2020-01-01T00:00:00.000000",
        STARTS: orjson.dumps({f"{stopped.topic}/1": 5}),
    }
    stopped.redis.hset(key, mapping=decided)  # type: ignore[arg-type]
    job = next(iter(stopped.redis.scan_iter(match=f"*{stopped.prefix}*{JOB}*")))
    stopped.redis.hset(job, CARRIED, "g1")
    stopped.command("projector", "export", "--output", file)
    stopped.forget()
    stopped.command("projector", "import", file)
    assert {name: stopped.hash(key).get(name.encode()) for name in decided} == decided
    carried = job.decode().replace("{g1.", "{g2.")
    assert stopped.redis.hget(carried, CARRIED) == b"g1"


def test_buckets_that_stand_apart_give_a_ledger_that_closes(stopped: Deployment, tmp_path: Path) -> None:
    """What a bucket ahead of the others has counted is counted once: when it is applied again."""
    file = str(tmp_path / "archive")
    stopped.command("projector", "export", "--output", file)
    stopped.forget()
    stopped.command("projector", "import", file, "--buckets", "2")
    name = f"{stopped.topic}/0".encode()
    ahead = bucket_prefix(stopped.prefix, 2, 1) + "positions"
    stopped.redis.hincrby(ahead, name.decode(), 4)
    stopped.redis.hincrby(ahead, name.decode() + "#applied", 4)
    stopped.command("projector", "export", "--output", file)
    lines = Path(file).read_bytes().splitlines()
    first, last = orjson.loads(lines[0]), orjson.loads(lines[-1])
    resumption = first["positions"][name.decode()]
    assert resumption["next"] == sum(resumption["ledger"])
    assert last["positions"][name.decode()] == resumption["next"] + 4


def test_whoever_stops_reading_ends_the_export_quietly(folded: Deployment) -> None:
    """A broken pipe is no accident of ours: a code other than 0 and no word."""
    for options in ((), ("--zstd",)):
        export = begin(folded, "projector", "export", *options, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert export.stdout
        export.stdout.close()
        _, errors = export.communicate(timeout=60)
        assert (export.returncode, errors) == (1, b"")


def test_an_export_that_fails_leaves_the_one_before_it(stopped: Deployment, tmp_path: Path) -> None:
    """A file has its name only when it is whole; what hinders it is named."""
    file = tmp_path / "archive"
    file.write_text("the one before")
    job = next(iter(stopped.redis.scan_iter(match=f"*{stopped.prefix}*{JOB}*")))
    stopped.redis.delete(job)
    stopped.redis.set(job, "not ours")
    said = stopped.command("projector", "export", "--output", str(file), code=1)
    assert f"the key {job.decode()} holds no job" in said
    stopped.redis.delete(job)
    stopped.redis.hset(job + b"\xff", "owner", "0x1")  # its name is not even text
    said = stopped.command("projector", "export", "--output", str(file), code=1)
    assert f"the key {job.decode()}\\xff holds no job" in said
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_text() == "the one before"
    assert "cannot be written" in stopped.command("projector", "export", "--output", f"{file}/x", code=1)


def test_what_is_no_file_is_written_into(stopped: Deployment, tmp_path: Path) -> None:
    """A named pipe, or a device, stays what it is; a link stays a link."""
    pipe, link, file = tmp_path / "pipe", tmp_path / "link", tmp_path / "file"
    os.mkfifo(pipe)
    with begin(stopped, "projector", "export", "--output", str(pipe)) as export, pipe.open("rb") as reading:
        content = reading.read()
        assert export.wait(60) == 0
    assert pipe.is_fifo()
    link.symlink_to(file)
    stopped.command("projector", "export", "--output", str(link))
    assert link.is_symlink()
    assert len(file.read_bytes().splitlines()) == len(content.splitlines()) == 302


def test_only_what_is_complete_is_exported(stopped: Deployment) -> None:
    """A generation that is not there, or not whole, is refused, and the ones that can be are named."""
    assert "generation 7 cannot be exported: 1 can" in stopped.command(
        "projector", "export", "--generation", "7", code=1
    )
    stopped.forget()
    assert "there is no projection yet" in stopped.command("projector", "export", code=1)
