"""The rooms inside of `api`."""

from typing import Final

# Which other rooms of `api` each of them may import. Modules at the root that import no room are for all of them.
ROOMS_OF_API: Final = {
    "api.web": frozenset[str](),
    "api.streams": frozenset({"api.asking", "api.following", "api.projection"}),
    "api.asking": frozenset({"api.following", "api.projection"}),
    "api.following": frozenset({"api.projection"}),
    "api.projection": frozenset[str](),
}
