"""How many streams there may be: in this process, from one address, and with one credential."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from api.asking.errors import RefusedError


class TooManyStreamsError(RefusedError):
    """There are as many streams as there may be; the text says of which."""


@dataclass(frozen=True, slots=True)
class Most:
    """How many streams there may be."""

    in_process: int
    of_address: int
    of_credential: int


class Places:
    """The places for streams, and who has them."""

    def __init__(self, most: Most) -> None:
        self._most = most
        self._taken: Counter[tuple[str, object]] = Counter()

    @contextmanager
    def taken(self, address: str, credential: str | None) -> Iterator[None]:
        """Take a place until the block ends; TooManyStreamsError when there is none."""
        most = self._most
        wanted: list[tuple[tuple[str, object], int]] = [
            (("this process", None), most.in_process),
            (("your address", address), most.of_address),
        ]
        if credential is not None:
            wanted.append((("these credentials", credential), most.of_credential))
        for key, limit in wanted:
            if self._taken[key] >= limit:
                raise TooManyStreamsError(f"Too many streams are open for {key[0]}: {limit} at most")
        keys = [key for key, _ in wanted]
        self._taken.update(keys)
        try:
            yield
        finally:
            self._taken.subtract(keys)
            for key in keys:
                if not self._taken[key]:
                    del self._taken[key]
