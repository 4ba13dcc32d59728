"""Ctrl-C ends a command that waits, soon, and in a state that it names."""

import json
import signal
import time
from collections.abc import Sequence

import pytest

from schemas.redis_layout import DROPPING, EPOCH, KEPT, LEASE, pointer_key
from service.errors import StoppedError
from tests.support.deployment import Deployment, wait_for
from tests.support.processes import Process
from tests.support.refold import stored

SOON_SECONDS = 10
LEASE_MILLISECONDS = 9_000


def end(process: Process) -> None:
    """Tell a command to end, as Ctrl-C does."""
    process.send_signal(signal.SIGINT)
    assert process.wait(SOON_SECONDS) == StoppedError.exit_code


@pytest.mark.parametrize(
    "arguments",
    [("rebuild",), ("rebuild", "--check"), ("generations", "rollback"), ("generations", "drop", "1")],
    ids=" ".join,
)
def test_while_it_waits_for_another_command(folded: Deployment, arguments: Sequence[str]) -> None:
    """Nothing is changed, and the lease of whoever has it stays."""
    folded.command("projector", "rebuild")
    held = f"token {int(time.time() * 1000) + LEASE_MILLISECONDS} a rebuild"
    folded.redis.hset(pointer_key(folded.prefix), mapping={EPOCH: "5", LEASE: held})
    before = folded.hash(pointer_key(folded.prefix))
    process = folded.start("projector", *arguments)
    wait_for(lambda: "waiting for another command to end" in folded.logs(), "it waits")
    end(process)
    assert "stopped: generation 2 is live\n" in folded.logs()
    assert folded.hash(pointer_key(folded.prefix)) == before


def test_while_a_drop_waits_for_readers(folded: Deployment) -> None:
    """The generation has its jobs still, nobody can go back to it, and the next drop takes it."""
    folded.command("projector", "rebuild")
    dropping = folded.start("projector", "generations", "drop", "1")
    wait_for(lambda: "waits for those who may read it still" in folded.logs(), "it waits")
    end(dropping)
    assert "stopped: generation 2 is live; generation 1 is half deleted, and the next drop of it" in folded.logs()
    catalog = folded.hash(pointer_key(folded.prefix))
    assert LEASE.encode() not in catalog
    assert json.loads(catalog[f"{KEPT}1".encode()])["state"] == DROPPING
    before = stored(folded)
    assert "keys deleted" in folded.command("projector", "generations", "drop", "1", "--wait", "0")
    assert stored(folded) == before
