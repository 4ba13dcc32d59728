"""The generation being filled: not live yet, folded up to where the live one stands."""

from projector.errors import ProjectorError
from projector.store.catalog import Catalog
from projector.store.generation import Generation
from schemas.redis_layout import Pointer
from service.redis import AnyRedis


class FilledGenerationLostError(ProjectorError):
    """The generation in the making is gone from Redis: run the command again."""

    retriable = False

    def __str__(self) -> str:
        """Return the sentence for people."""
        return str(self.__doc__)


class FilledGeneration(Generation):
    """A generation that is folded beside the live one."""

    def __init__(self, redis: AnyRedis, prefix: str, pointer: Pointer) -> None:
        super().__init__(redis, prefix, pointer)
        self._catalog = Catalog(redis, prefix)

    async def reopen(self) -> bool:
        """Return when it is there as it was begun; FilledGenerationLostError otherwise."""
        kept = (await self._catalog.read()).kept.get(self.pointer.number)
        if kept is None or kept.pointer != self.pointer:
            raise FilledGenerationLostError
        for bucket, incarnation in enumerate(self.pointer.incarnations):
            if (await self.find(self.pointer, bucket))[0] != incarnation:
                raise FilledGenerationLostError
        return True
