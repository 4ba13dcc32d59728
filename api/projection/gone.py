"""Jobs that went: whether one did, and when, as far as that is remembered."""

from importlib.resources import files
from typing import Final

from api.projection.store import CALL_TIMEOUT_SECONDS, Script, Store
from schemas.gone_job import entries_from, entries_to, gone_keys, is_named

# Of one jobId: others that have it too are somebody else's.
LOOKED_AT: Final = 1000
_SCRIPT: Final = Script((files("api.projection") / "lua" / "gone.lua").read_text(encoding="utf-8"))


class GoneJobs:
    """The jobs that went from the projection under a prefix."""

    def __init__(self, store: Store, prefix: str) -> None:
        self._store = store
        self._keys = gone_keys(prefix)

    async def when(self, job_id: str, owner: str | None, agreement_id: str | None) -> int | None:
        """Return when such a job went last, in milliseconds of Redis' clock; None when none is remembered.

        Raises StoreUnavailableError.
        """
        arguments: list[str | int] = [entries_from(job_id), entries_to(job_id), LOOKED_AT]
        reply = await self._store.run(_SCRIPT, self._keys, arguments, CALL_TIMEOUT_SECONDS)
        found = zip(reply[::2], reply[1::2], strict=True)
        return max((int(went) for entry, went in found if is_named(entry.decode(), owner, agreement_id)), default=None)
