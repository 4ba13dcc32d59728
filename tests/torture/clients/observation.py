"""What a reader saw: one query and what became of it."""

from typing import NamedTuple


class Query(NamedTuple):
    """One job (all its attempts), or every job of an owner or of an agreement."""

    parameter: str  # jobId, owner or agreementId
    value: str
    is_admin: bool
    # The rest of the identity, when the query gives all of it.
    owner: str = ""
    agreement_id: str = ""

    @property
    def is_of_one_job(self) -> bool:
        """Whether the answer is about one jobId, and so was read in one step."""
        return self.parameter == "jobId"

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the request."""
        rest = {"owner": self.owner, "agreementId": self.agreement_id} if self.owner else {}
        return {self.parameter: self.value, **rest}


class Observation(NamedTuple):
    """A query, when it was asked and answered (Unix seconds), by which life of the API, and the answer.

    `status` is 0 when there was none; `lag_events` is None when the answer says that it is not known, and so is
    `heartbeat`, the time (Unix seconds) at which the lag is said to have been known.
    """

    query: Query
    started: float
    ended: float
    api_life: int
    status: int
    lag_events: int | None
    body: bytes
    fault: str = ""
    heartbeat: float | None = None
