"""What long commands say of how far they are."""

import pytest

from projector.operating import progress
from projector.operating.progress import Stage


def test_lines_begin_at_once_and_with_each_stage(capsys: pytest.CaptureFixture[str]) -> None:
    """Off a terminal the first look is a line, and so is the first of each stage; others come now and then."""
    with progress.progress("rebuild") as show:
        show({"t/0": 0}, {"t/0": 10})
        first = capsys.readouterr().err
        assert first.startswith("rebuild: 0 of 10 records, 0/s, time left unknown (t/0 0 of 10)")
        show({"t/0": 5}, {"t/0": 10})
        assert not capsys.readouterr().err
        show({"jobs": 1}, {"jobs": 4}, Stage("compares", "jobs"))
        assert capsys.readouterr().err.startswith("compares: 1 of 4 jobs")
        show({}, {}, Stage("removes generation 1", waits="those who read it"))
        assert capsys.readouterr().err == "removes generation 1 (waits for those who read it)\n"
    assert not capsys.readouterr().err.startswith("rebuild")


def test_a_line_now_and_then_has_rate_and_remaining_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done before the first look counts for no rate, nor does what begins anew."""
    now = 100.0
    monkeypatch.setattr("projector.operating.progress.time.monotonic", lambda: now)
    with progress.progress("rebuild") as show:
        show({"t/0": 50}, {"t/0": 100})
        capsys.readouterr()
        now = 110.0
        show({"t/0": 70}, {"t/0": 100})
        assert capsys.readouterr().err == "rebuild: 70 of 100 records, 2/s, 15 s left (t/0 70 of 100)\n"
        now = 120.0
        show({"t/0": 0}, {"t/0": 100})  # the second round
        assert "0/s" in capsys.readouterr().err
        now = 125.0
        show({"t/0": 50}, {"t/0": 100})
        assert capsys.readouterr().err == "rebuild: 50 of 100 records, 10/s, 5 s left (t/0 50 of 100)\n"


def test_where_nobody_knows_how_much_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Without totals a line tells how much is done, and nothing of what is left."""
    with progress.progress("expire --dry-run", "jobs") as show:
        show({"jobs": 5}, {})
    assert capsys.readouterr().err.splitlines()[0] == "expire --dry-run: 5 jobs, 0/s"


def test_many_parts_are_not_all_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A line stays one, however many partitions there are."""
    names = {f"t/{number}": 1 for number in range(1000)}
    with progress.progress("rebuild") as show:
        show(names, names)
    assert all(len(line) < 400 for line in capsys.readouterr().err.splitlines())
