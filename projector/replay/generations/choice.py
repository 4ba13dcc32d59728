"""The generation that a command is about: which it may be, and what is said when it is not there."""

from dataclasses import dataclass
from typing import Final

from projector.store.catalog import State
from schemas.redis_layout import BUILDING, COMPLETE, IMPORTING, KeptGeneration, Pointer
from service.errors import CommandError

# The state of the one that is read, as people see it; in the catalog it has none.
LIVE: Final = "live"


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a generation is chosen for: in which states, of which `default` is meant when no number is given.

    `if_none` is said when there is no such one, `if_not` when it is not the one with the number; `able` are those
    that could be chosen.
    """

    states: frozenset[str]
    default: str
    if_none: str
    if_not: str


TO_EXPORT: Final = Purpose(
    frozenset({LIVE, COMPLETE}),
    LIVE,
    "there is no projection yet: start a projector",
    "generation {number} cannot be exported: {able} can",
)
TO_VERIFY: Final = Purpose(
    frozenset({LIVE, COMPLETE, BUILDING, IMPORTING}),
    LIVE,
    "there is no projection to verify: start a projector, it folds the whole log",
    "there is no generation {number}: look at `python -m projector generations list`",
)
TO_ROLL_BACK_TO: Final = Purpose(
    frozenset({COMPLETE}),
    COMPLETE,
    "no other generation is kept: there is nothing to roll back to",
    "generation {number} cannot go live: {able} can",
)


def everyone(state: State) -> dict[int, KeptGeneration]:
    """Return every generation by its number, the live one first."""
    if state.live is None:
        return dict(state.kept)
    return {state.live.number: KeptGeneration(state.live, LIVE, state.began, 0, state.starts), **state.kept}


def able(state: State, purpose: Purpose) -> dict[int, KeptGeneration]:
    """Return, by number, the generations that may be chosen."""
    return {number: kept for number, kept in everyone(state).items() if kept.state in purpose.states}


def choose(state: State, purpose: Purpose, number: int | None) -> KeptGeneration:
    """Return the generation with this number; without one the one that is meant, of several the one retired last.

    Raises CommandError.
    """
    choices = able(state, purpose)
    if number is None:
        meant = [kept for kept in choices.values() if kept.state == purpose.default]
        if not meant:
            raise CommandError(purpose.if_none)
        return max(meant, key=lambda kept: kept.retired)
    if number not in choices:
        raise CommandError(purpose.if_not.format(number=number, able=", ".join(map(str, choices)) or "none"))
    return choices[number]


def live_of(state: State, if_none: str) -> Pointer:
    """Return the live generation; CommandError, which says this, when there is none."""
    if state.live is None:
        raise CommandError(if_none)
    return state.live
