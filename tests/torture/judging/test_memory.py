"""Who takes too much memory is named, even if it lets go again."""

from tests.torture.judging.anomalies import Name
from tests.torture.judging.memory import LIMIT_MIB, Memory


def test_the_most_that_was_taken_counts() -> None:
    """A moment is enough, and each round is judged by itself."""
    memory = Memory({})
    for mib in (LIMIT_MIB, LIMIT_MIB + 1, 10):
        memory.note("api", mib)
    memory.note("projector-1", LIMIT_MIB)
    (found,) = memory.judge()
    assert found.name is Name.TOO_LARGE
    assert found.detail.startswith(f"api took {LIMIT_MIB + 1} MiB")
    assert list(memory.judge()) == []
