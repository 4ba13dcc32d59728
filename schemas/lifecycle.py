"""The lifecycle of a job: which stages exist, what they are called and what they say.

This is the one place to change a wording or to add a stage; schemas, rendering, the fold and the worker's
commands follow it. Stages are listed in the order in which a job passes them.
"""

from dataclasses import dataclass
from typing import Final

EVENT_TYPE_PREFIX: Final = "operator.job."


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a job: its status code, its name in events and in Redis, and its public wording."""

    code: int
    name: str
    text: str

    @property
    def event_type(self) -> str:
        """The CloudEvents `type` that reports this stage."""
        return EVENT_TYPE_PREFIX + self.name


STAGES: Final = (
    Stage(1, "started", "Job started"),
    Stage(2, "configuring", "Configuring volumes"),
    Stage(3, "running", "Running algorith"),  # spelled so in the endpoint's contract
    Stage(4, "uploading", "Uploading results"),
    Stage(5, "finished", "Job finished"),
)
FINISHED: Final = STAGES[-1]

STAGE_NAMES: Final = tuple(stage.name for stage in STAGES)
STAGE_BY_NAME: Final = {stage.name: stage for stage in STAGES}
STAGE_BY_EVENT_TYPE: Final = {stage.event_type: stage for stage in STAGES}

OUTCOMES: Final = ("succeeded", "failed", "cancelled")
DEFAULT_OUTCOME: Final = OUTCOMES[0]
# Of a job that names an error and no outcome: nobody explains why a job failed that did not.
OUTCOME_OF_ERROR: Final = OUTCOMES[1]
