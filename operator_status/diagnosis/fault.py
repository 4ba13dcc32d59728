"""A fault: what keeps a service from being used, and what to change."""

from collections.abc import Iterator
from typing import NamedTuple

# The longest that a probe waits for one step at one address.
STEP_SECONDS = 2.0


class Fault(NamedTuple):
    """What is wrong, what to do about it, and whether it may pass while one waits."""

    cause: str
    remedy: str
    may_pass: bool = False


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all that led to it: libraries hide the telling one behind their own."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
