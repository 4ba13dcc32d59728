"""Whether a generation is whole: one that is sifted (see `projector.store.sifting`) says nothing rightly yet."""

from projector.store.generation import Generation
from schemas.redis_layout import Pointer
from service.errors import CommandError
from service.redis import AnyRedis


async def require_whole(redis: AnyRedis, prefix: str, pointer: Pointer) -> None:
    """Raise CommandError while a generation is filled without old jobs."""
    if await Generation(redis, prefix, pointer).sifting.read():
        raise CommandError(
            f"generation {pointer.number} is being filled without old jobs, and is not whole before the log was read "
            "twice: try again when the API answers"
        )
