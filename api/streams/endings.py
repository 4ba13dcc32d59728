"""How streams end: by what their client is told, or without its being told anything."""

from typing import Final

# All jobs of the query have finished; nothing more will come.
END: Final = "end"
# What `bye` says: this process ends; the client reads too slowly; the stream is as old as it may be, or there is no
# room for it.
DRAIN: Final = "drain"
SLOW: Final = "slow"
EXPIRED: Final = "expired"
LIMIT: Final = "limit"
# The client is gone.
LEFT: Final = "left"
ENDINGS: Final = (END, DRAIN, SLOW, EXPIRED, LIMIT, LEFT)


class OverError(Exception):
    """The stream is over: nothing is to be read for it any more."""
