"""How a verify ends: with a generation that is not read, without room, and when it is told to stop."""

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from projector.replay.verify.scratch import SCRATCH_BYTES_PER_JOB, scratch
from schemas.redis_layout import JOB, META, POSITIONS, SEALED, bucket_prefix
from service.errors import CommandError
from tests.support.deployment import Deployment, wait_for
from tests.support.refold import refold, stored
from tests.support.verifying import verified

SMALL_FILE_BYTES = 64 * 1024


def test_a_generation_that_was_retired_is_mended_and_can_be_gone_back_to(folded: Deployment) -> None:
    """What is kept for a rollback is mended where it stands, though it is sealed, and a rollback goes on from there."""
    folded.command("projector", "rebuild")
    base = bucket_prefix(folded.prefix, 1, 0)
    assert folded.redis.hexists(base + META, SEALED)
    key = next(str(key.decode()) for key in folded.redis.scan_iter(match=base.replace("{", "[{]") + JOB + "*"))
    folded.redis.delete(key)
    said = folded.command("projector", "verify", "--generation", "1", code=1)
    assert "missing job" in said
    assert "`python -m projector verify --generation 1 --repair` mends it" in said
    said = folded.command("projector", "verify", "--generation", "1", "--repair")
    assert "1 differences (1 missing job), 1 of them mended" in said
    folded.command("projector", "generations", "rollback")
    folded.wait_until_applied()
    assert folded.generation == 1
    assert stored(folded) == refold(folded)
    assert verified(folded)[0] == []


def test_nobody_switches_while_a_generation_that_is_kept_is_mended(folded: Deployment) -> None:
    """A rollback to what is just being mended, and its mending while somebody switches, are refused with the reason."""
    folded.command("projector", "rebuild")
    rebuilding = folded.start("projector", "rebuild", "--rate", "150")
    wait_for(lambda: "rebuild: " in folded.logs(), "the rebuild is under way")
    said = folded.command("projector", "verify", "--generation", "1", "--repair", code=1)
    assert "rebuild (process" in said
    assert "is at work on the generations of this projection" in said
    folded.stop(rebuilding)


def test_too_little_room_is_said_beforehand(tmp_path: Path) -> None:
    """How much is needed and how much there is, in a sentence, before anything is folded."""
    with scratch(tmp_path) as place:
        assert place.require_room(2 * 1024 * 1024 // SCRATCH_BYTES_PER_JOB) == f"about 2 MiB in {tmp_path}"
        with pytest.raises(CommandError, match=r"takes about \d+ MiB and .* has \d+ MiB free: name another directory"):
            place.require_room(10**12)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_sentence(stopped: Deployment, tmp_path: Path) -> None:
    """No traceback when the temporary file cannot grow, and nothing is left of it."""
    program = (
        "import resource, runpy, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({SMALL_FILE_BYTES}, {SMALL_FILE_BYTES}))\n"
        f"sys.argv = ['projector', 'verify', '--temporary-directory', {str(tmp_path)!r}]\n"
        "runpy.run_module('projector', run_name='__main__')"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=stopped.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"the temporary file of the second fold in {tmp_path} cannot be written" in done.stderr
    assert "--temporary-directory" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_what_it_waits_for_is_said_and_ctrl_c_names_the_state(folded: Deployment, tmp_path: Path) -> None:
    """Where buckets stand apart it waits for a projector, says so, and ends by Ctrl-C with 130 and what was changed."""
    folded.command("projector", "rebuild", "--buckets", "2")
    folded.stop_all()
    positions = [bucket_prefix(folded.prefix, 2, bucket) + POSITIONS for bucket in range(2)]
    names = [f"{folded.topic}/{number}" for number in range(3)]
    # Each of them is behind the other one somewhere.
    folded.redis.hset(positions[0], names[0], "1")
    folded.redis.hset(positions[1], names[1], "1")
    folded.redis.hset(positions[1], names[2], "1")
    process = folded.start("projector", "verify", "--json", "--temporary-directory", str(tmp_path))
    wait_for(lambda: "(waits for a projector)" in folded.logs(), "it waits")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    said = folded.logs()
    assert "differences were found by then, nothing was changed" in said
    summary = next(json.loads(line) for line in said.splitlines() if line.startswith('{"summary"'))
    assert summary["summary"]["stopped"] is True
    assert summary["summary"]["mended"] == 0
    assert [path for path in tmp_path.iterdir() if path.name.startswith("verify-")] == []
