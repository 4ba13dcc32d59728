"""The rooms inside of `api`."""

from typing import Final

# Which other rooms of `api` each of them may import. Modules at the root that import no room are for all of them.
ROOMS_OF_API: Final = {
    "api.web": frozenset[str](),
    "api.asking": frozenset({"api.projection"}),
    "api.projection": frozenset[str](),
}
