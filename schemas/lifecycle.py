"""The lifecycle of a job: which stages exist, what they are called and what they say.

This is the one place to change a wording or to add a stage; schemas, rendering, the fold and the worker's
commands follow it. Stages are listed in the order in which a job passes them.
"""

from dataclasses import dataclass
from typing import Final

EVENT_TYPE_PREFIX: Final = "operator.job."


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a job: its status code, its name in events and in Redis, and its public wording.

    `limit` is how long it may last before that is told, unless an operator says something else; the last one lasts.
    """

    code: int
    name: str
    text: str
    limit: str = ""

    @property
    def event_type(self) -> str:
        """The CloudEvents `type` that reports this stage."""
        return EVENT_TYPE_PREFIX + self.name


STAGES: Final = (
    Stage(1, "started", "Job started", limit="10m"),
    Stage(2, "configuring", "Configuring volumes", limit="30m"),
    Stage(3, "running", "Running algorith", limit="24h"),  # spelled so in the endpoint's contract
    Stage(4, "uploading", "Uploading results", limit="1h"),
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
