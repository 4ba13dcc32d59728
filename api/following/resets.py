"""Why a stream begins again with a snapshot; the words stand in the `reset` event and in the metrics."""

from typing import Final

# The id is none that was given out for this query and role.
UNKNOWN_ID: Final = "unknown-id"
# Another generation is read: a rebuild switched to it, or somebody rolled back.
OTHER_GENERATION: Final = "other-generation"
# A bucket was begun again, for Redis had lost it.
OTHER_INCARNATION: Final = "other-incarnation"
# The feed does not hold what comes after it any more.
TRIMMED: Final = "trimmed"
# It is ahead of the feed: Redis has lost what came last.
AHEAD: Final = "ahead"
# The projection was set back, or could not be shown for a while, under an open stream.
SET_BACK: Final = "set-back"
# Too many jobs changed at once to be named.
CATCHING_UP: Final = "catching-up"
# A snapshot was not told to its end.
INTERRUPTED: Final = "interrupted"
RESETS: Final = (UNKNOWN_ID, OTHER_GENERATION, OTHER_INCARNATION, TRIMMED, AHEAD, SET_BACK, CATCHING_UP, INTERRUPTED)
