"""From a projection of fold version 1 to this release's and back, beside each other all the time."""

import pytest

from schemas.redis_layout import FOLD_VERSION, JOB, pointer_key
from tests.support.deployment import Deployment
from tests.support.earlier import EARLIER_VERSION, age
from tests.support.refold import refold, stored


def fold_version(deployment: Deployment) -> int:
    """Return which version the live generation is folded by."""
    return int(deployment.hash(pointer_key(deployment.prefix))[b"fold"])


@pytest.mark.long(30)
def test_an_earlier_projection_is_rebuilt_beside_and_stays_for_the_way_back(stopped: Deployment) -> None:
    """Old data are neither read as new ones nor touched: this release builds its own, and the old one can go back."""
    age(stopped)
    before = stored(stopped)
    started = next(iter(fields["started"] for name, fields in before.items() if name.startswith(JOB)))
    assert started.count("\t") == 3  # one field, as version 1 wrote it

    assert f"folds by version {FOLD_VERSION}" in stopped.command("projector", "run", code=75)
    assert stored(stopped) == before

    stopped.command("projector", "rebuild", "--check")
    assert (fold_version(stopped), stopped.generation) == (FOLD_VERSION, 2)
    assert stored(stopped) == refold(stopped)

    refusal = stopped.command("projector", "generations", "rollback", code=1)
    assert f"was folded by version {EARLIER_VERSION}" in refusal
    stopped.command("projector", "generations", "rollback", "--now")
    assert (fold_version(stopped), stopped.generation) == (EARLIER_VERSION, 1)
    assert stored(stopped) == before
