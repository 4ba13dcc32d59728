"""What can happen to the projector; each says whether trying again can help."""

from typing import ClassVar


class ProjectorError(Exception):
    """Something the projector reacts to."""

    retriable: ClassVar[bool] = True


class PositionMovedError(ProjectorError):
    """A stored position is not the expected one: somebody else wrote, or Redis lost writes."""

    def __init__(self, partition: str, expected: int, stored: int) -> None:
        super().__init__(f"{partition}: position {stored} is stored, {expected} was expected")
        self.partition, self.expected, self.stored = partition, expected, stored


class FingerprintMovedError(ProjectorError):
    """Somebody has decided which record was applied last where that was in doubt."""

    def __init__(self, partition: str, fingerprint: str) -> None:
        super().__init__(f"{partition}: {fingerprint or 'nothing'} is stored as what was applied last")


class BucketMissingError(ProjectorError):
    """A bucket is not there, or is not the one that was opened: Redis was emptied or replaced."""


class DamagedBucketError(ProjectorError):
    """What a bucket keeps beside its jobs is damaged; the projector removes it, and all of it is made again."""


class BucketSealedError(ProjectorError):
    """A switch of generations is under way."""


class LeaseHeldError(ProjectorError):
    """Somebody else changes generations now."""

    def __init__(self, lease: str, now: int) -> None:
        _, until, self.holder = lease.split(" ", 2)
        super().__init__(f"{self.holder} is at work on the generations of this projection")
        self.lease = lease
        self.seconds_left = max(0, int(until) - now) / 1000


class LeaseLostError(ProjectorError):
    """The lease ended, because it was not renewed in time or because Redis lost it: somebody else may be at work."""

    retriable = False

    def __str__(self) -> str:
        """Return the sentence for people."""
        return "the lease on the generations was lost, so nothing was switched: run the command again"


class DamagedKeyError(ProjectorError):
    """A key of the projection has a wrong type; it must be mended before its job can be written."""

    def __init__(self, key: str, member: str) -> None:
        super().__init__(f"the key {key} has a wrong type")
        self.key, self.member = key, member
        # The partitions whose records touch the job; whoever knows the batch fills it in.
        self.partitions: frozenset[str] = frozenset()


class StoreUnavailableError(ProjectorError):
    """Redis does not answer, or answers that it cannot serve now."""


class CallTimeoutError(StoreUnavailableError):
    """Redis did not answer a call in time: it is away, or so much does not pass the link to it within the limit."""


class BatchTooLargeError(StoreUnavailableError):
    """The jobs of a batch hold more in Redis than may be looked at in one step: fewer of them will do."""

    def __str__(self) -> str:
        """Return the sentence for people."""
        return str(self.__doc__)


class ScriptError(ProjectorError):
    """A script of ours failed, which is a fault of ours and no damage: the next version mends it."""


class DeadLetterError(ProjectorError):
    """Letters of some partitions were not acknowledged by Kafka."""

    def __init__(self, partitions: frozenset[str], cause: Exception) -> None:
        super().__init__(f"dead letters of {', '.join(sorted(partitions))} were not acknowledged: {cause}")
        self.partitions = partitions


class ForeignProjectionError(ProjectorError):
    """Redis holds a projection of something else under this prefix."""

    retriable = False
