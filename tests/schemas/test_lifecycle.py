"""The lifecycle, as the endpoint's contract has it."""

from schemas.lifecycle import FINISHED, OUTCOMES, STAGE_BY_EVENT_TYPE, STAGE_BY_NAME, STAGES


def test_stages_are_those_of_the_contract() -> None:
    """Codes, names and wordings are what clients of the endpoint compare with, one by one."""
    assert [(stage.code, stage.name, stage.text) for stage in STAGES] == [
        (1, "started", "Job started"),
        (2, "configuring", "Configuring volumes"),
        (3, "running", "Running algorith"),
        (4, "uploading", "Uploading results"),
        (5, "finished", "Job finished"),
    ]


def test_each_stage_is_found_by_its_names() -> None:
    """A stage is found by its name and by the type of its events, and by nothing else."""
    assert {stage.name: stage for stage in STAGES} == STAGE_BY_NAME
    assert {f"operator.job.{stage.name}": stage for stage in STAGES} == STAGE_BY_EVENT_TYPE
    assert FINISHED is STAGES[-1]


def test_outcomes_are_those_of_the_contract() -> None:
    """A job has succeeded unless it says otherwise."""
    assert OUTCOMES == ("succeeded", "failed", "cancelled")
