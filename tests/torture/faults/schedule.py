"""Which faults happen when: a pure function of the seed and the number of the round.

Each round has its own weather: some kinds of faults are left out and the others are more or less frequent, because
what survives a mixture of everything need not survive the same fault three times in a row.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final, NamedTuple

from tests.torture.system.names import API, KAFKA, LINKS, PROJECTORS, REDIS

# A program that was killed needs so long until it is worth killing again.
RECOVERY_SECONDS: Final = 2.0
CALM: Final = 0.35  # the share of kinds that a round leaves out
FEW_KINDS: Final = 6  # of which none is left out


class Kind(StrEnum):
    """What can happen."""

    KILL_PROJECTOR = "projector killed"
    KILL_BOTH = "both projectors killed"
    END_PROJECTOR = "projector ended in order"
    KILL_API = "API killed"
    KILL_KAFKA = "Kafka killed"
    KILL_REDIS = "Redis killed"
    LOSE_SECOND = "Redis killed, its last second lost"
    PAUSE_PROJECTOR = "projector stopped and continued"
    ZOMBIE = "projector stopped for longer than its session, its last writes arriving late"
    PAUSE_REDIS = "Redis stopped and continued"
    PAUSE_KAFKA = "Kafka stopped and continued"
    FLUSH = "Redis emptied"
    FAIL_OVER = "Redis failed over, writes lost"
    CLOSE = "link closed"
    CUT = "link cut in the middle of a message"
    STALL = "link stalled"
    LOSE_REPLIES = "replies held, then the link cut"
    HOLD_REQUESTS = "requests held, then delivered"
    DELAY = "link slow"
    HALF_OPEN = "link half open"
    STORM = "rebalance storm"
    LETTERS = "thousands of letters at once"
    FLOOD = "flood of large garbage"
    TRANSACTION = "transaction left open"
    THIN = "link so thin that no batch passes"
    DAMAGE = "position damaged"
    JUMP = "Redis' clock an hour off, and nobody to notice"


class Part(StrEnum):
    """What else a run does, besides the faults of its schedule."""

    WALKS = "long lists are read"
    SLOW_READERS = "some read next to nothing of what they ask for"
    STREAMS = "jobs are streamed"
    NEW_LOG = "the log is made anew"


class Recipe(NamedTuple):
    """How often a kind happens (a weight), to whom (any one of), for how long, and whether it is a kill."""

    weight: float
    targets: Sequence[tuple[str, ...]]
    seconds: tuple[float, float]
    is_kill: bool = False


_EACH_PROJECTOR: Final = [(name,) for name in PROJECTORS]
# One at a time, so that there is somebody to take over.
_EACH_ZOMBIE: Final = [(name, link, "a zombie") for name, link in zip(PROJECTORS, LINKS[2:4], strict=True)]
_EACH_LINK: Final = [(name,) for name in LINKS]
RECIPES: Final = {
    # A killed one keeps its partitions until its session ends, 6 s later: more of it, and nobody projects anything.
    Kind.KILL_PROJECTOR: Recipe(7, _EACH_PROJECTOR, (0, 2), is_kill=True),
    Kind.KILL_BOTH: Recipe(2, [PROJECTORS], (0, 2), is_kill=True),
    Kind.END_PROJECTOR: Recipe(5, _EACH_PROJECTOR, (0, 1)),
    Kind.KILL_API: Recipe(7, [(API,)], (0, 1), is_kill=True),
    Kind.KILL_KAFKA: Recipe(2.5, [(KAFKA,)], (0, 2), is_kill=True),
    Kind.KILL_REDIS: Recipe(4, [(REDIS,)], (0, 2), is_kill=True),
    Kind.LOSE_SECOND: Recipe(4, [(REDIS,)], (0, 2), is_kill=True),
    Kind.PAUSE_PROJECTOR: Recipe(2, _EACH_PROJECTOR, (0.3, 4)),
    Kind.ZOMBIE: Recipe(4, _EACH_ZOMBIE, (7, 12)),
    Kind.PAUSE_REDIS: Recipe(3, [(REDIS,)], (1, 10)),
    Kind.PAUSE_KAFKA: Recipe(2, [(KAFKA,)], (1, 10)),
    Kind.FLUSH: Recipe(2, [(REDIS,)], (0, 0)),
    Kind.FAIL_OVER: Recipe(4, [(REDIS,)], (0.2, 2)),
    Kind.CLOSE: Recipe(2, _EACH_LINK, (0, 0)),
    Kind.CUT: Recipe(4, _EACH_LINK, (1, 4)),
    Kind.STALL: Recipe(3, _EACH_LINK, (0.5, 8)),
    Kind.LOSE_REPLIES: Recipe(4, _EACH_LINK, (0.1, 4)),
    Kind.HOLD_REQUESTS: Recipe(3, _EACH_LINK, (0.1, 4)),
    Kind.DELAY: Recipe(2, _EACH_LINK, (2, 8)),
    Kind.HALF_OPEN: Recipe(4, _EACH_LINK, (1, 10)),
    Kind.STORM: Recipe(1, _EACH_PROJECTOR, (6, 12)),
    Kind.LETTERS: Recipe(1.5, [("letters",)], (0, 0)),
    Kind.FLOOD: Recipe(1, [("flood",)], (0, 0)),
    Kind.TRANSACTION: Recipe(2, [("transaction",)], (5, 20)),
    Kind.THIN: Recipe(1.5, [(link,) for link in LINKS[2:4]], (4, 10)),
    Kind.DAMAGE: Recipe(1, [(REDIS,)], (0, 0)),
    Kind.JUMP: Recipe(1, [(*PROJECTORS, REDIS)], (9, 12), is_kill=True),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens so many seconds after the round began; `seed` decides what else is left to chance."""

    at_seconds: float
    kind: Kind
    targets: tuple[str, ...]
    seconds: float
    seed: int

    @property
    def is_kill(self) -> bool:
        """Whether a process is killed."""
        return RECIPES[self.kind].is_kill

    def __str__(self) -> str:
        """Return what happens, for the log."""
        return f"{self.at_seconds:5.1f} s {self.kind}: {', '.join(self.targets)}, {self.seconds:.1f} s"


def schedule(seed: int, round_number: int, seconds: float, kinds: Collection[StrEnum] = tuple(Kind)) -> list[Fault]:
    """Return the faults of a round, of these kinds only; no two harm one target at the same time."""
    random = Random(f"{seed}/{round_number}")
    weather = _weather(random, [kind for kind in RECIPES if kind in kinds])
    mean_gap = random.uniform(1.0, 2.0)
    busy_until: dict[str, float] = {}
    faults: list[Fault] = []
    at = random.expovariate(1 / mean_gap)
    while at < seconds:
        (kind,) = random.choices(list(weather), weights=list(weather.values()))
        recipe = RECIPES[kind]
        fault = Fault(at, kind, random.choice(recipe.targets), random.uniform(*recipe.seconds), random.getrandbits(32))
        if all(busy_until.get(target, 0) <= at for target in fault.targets):
            faults.append(fault)
            end = at + fault.seconds + (RECOVERY_SECONDS if fault.is_kill else 0)
            busy_until |= dict.fromkeys(fault.targets, end)
        at += random.expovariate(1 / mean_gap)
    return faults


def _weather(random: Random, kinds: Sequence[Kind]) -> dict[Kind, float]:
    """Return the weights of the kinds that happen in a round; if there are many, projectors are killed in every one."""
    chosen = [kind for kind in kinds if random.random() > CALM or kind is Kind.KILL_PROJECTOR]
    return {kind: RECIPES[kind].weight for kind in (kinds if len(kinds) <= FEW_KINDS else chosen)}
