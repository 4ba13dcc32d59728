"""The figures of a run: what it went through, and what is too little to mean anything."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.torture.clients.observation import Observation
from tests.torture.faults.schedule import Kind, Part
from tests.torture.judging.anomalies import Anomaly, Name

# What an hour must have seen, on a machine with two cores; a shorter run in proportion.
FAULTS_PER_HOUR: Final = 600
KILLS_PER_HOUR: Final = 200
EVENTS_PER_HOUR: Final = 1_000_000
ANSWERS_PER_HOUR: Final = 30_000
STREAMS_PER_HOUR: Final = 100
PAGED_LISTS_PER_HOUR: Final = 100
SLOW_READERS_PER_HOUR: Final = 1_000
STREAMS_OPENED_PER_HOUR: Final = 3_000
NEW_LOGS_PER_HOUR: Final = 4
# Of each kind of fault that has a floor of its own.
KINDS_PER_HOUR: Final = {
    Kind.LETTERS: 15,
    Kind.FLOOD: 10,
    Kind.TRANSACTION: 15,
    Kind.THIN: 10,
    Kind.DAMAGE: 8,
    Kind.JUMP: 6,
}
_HOUR_MINUTES: Final = 60
_RECOVERY: Final = re.compile(r"recovering reason=(\w+)")


@dataclass
class Figures:
    """What is counted, and the anomalies with the rounds they happened in."""

    seed: int
    minutes: float
    taking_part: frozenset[Kind | Part] = frozenset({*Kind, *Part})
    rounds: int = 0
    kills: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    events: int = 0
    dead_letters: int = 0
    queries: int = 0
    slow_readers: int = 0
    streams_opened: int = 0
    new_logs: int = 0
    logs_given_up: int = 0
    walks: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    exits: Counter[str] = field(default_factory=Counter)
    recoveries: Counter[str] = field(default_factory=Counter)
    most_mib: dict[str, int] = field(default_factory=dict)
    slowest_answer_seconds: float = 0.0
    slowest_recovery_seconds: float = 0.0
    anomalies: list[tuple[int, Anomaly]] = field(default_factory=list)

    def count(self, observations: list[Observation]) -> None:
        """Count what readers saw in a round."""
        self.queries += len(observations)
        self.answers.update(str(seen.status or "none") for seen in observations)

    def count_recoveries(self, logs: Path) -> None:
        """Count why projectors had to read their position again, from what they logged."""
        text = "".join(path.read_text(errors="replace") for path in logs.glob("projector-*.log*"))
        self.recoveries = Counter(_RECOVERY.findall(text))

    @property
    def shortfalls(self) -> list[str]:
        """What the run has seen too little of for its length; nothing, when it ended early for an anomaly."""
        if self.anomalies:
            return []
        wanted = [
            ("faults", self.faults.total(), FAULTS_PER_HOUR, None),
            ("kills", self.kills, KILLS_PER_HOUR, None),
            ("events", self.events, EVENTS_PER_HOUR, None),
            ("answers with 200", self.answers["200"], ANSWERS_PER_HOUR, None),
            ("streams read to their end", self.walks["stream"], STREAMS_PER_HOUR, Part.WALKS),
            ("lists read page by page", self.walks["pages"], PAGED_LISTS_PER_HOUR, Part.WALKS),
            ("slow readers", self.slow_readers, SLOW_READERS_PER_HOUR, Part.SLOW_READERS),
            ("streams opened", self.streams_opened, STREAMS_OPENED_PER_HOUR, Part.STREAMS),
            ("logs made anew", self.new_logs, NEW_LOGS_PER_HOUR, Part.NEW_LOG),
            *((kind.value, self.faults[kind.value], least, kind) for kind, least in KINDS_PER_HOUR.items()),
        ]
        share = self.minutes / _HOUR_MINUTES
        return [
            f"{seen} {name}, at least {least * share:.0f} are needed"
            for name, seen, least, part in wanted
            if seen < int(least * share) and (part is None or part in self.taking_part)
        ]

    @property
    def is_good(self) -> bool:
        """Whether nothing wrong was seen, in a run that would have seen it."""
        return not self.anomalies and not self.shortfalls

    def as_json(self) -> dict[str, Any]:
        """Return the figures, anomalies by name."""
        by_name = Counter(anomaly.name for _, anomaly in self.anomalies)
        return {
            "seed": self.seed,
            "minutes": self.minutes,
            "rounds": self.rounds,
            "kills": self.kills,
            "faults": dict(sorted(self.faults.items())),
            "events": self.events,
            "dead_letters": self.dead_letters,
            "queries": self.queries,
            "answers": dict(sorted(self.answers.items())),
            "slow_readers": self.slow_readers,
            "streams_opened": self.streams_opened,
            "new_logs": self.new_logs,
            "logs_given_up": self.logs_given_up,
            "most_mib": dict(sorted(self.most_mib.items())),
            "walks": dict(sorted(self.walks.items())),
            "exits": dict(sorted(self.exits.items())),
            "recoveries": dict(sorted(self.recoveries.items())),
            "slowest_answer_seconds": round(self.slowest_answer_seconds, 3),
            "slowest_recovery_seconds": round(self.slowest_recovery_seconds, 1),
            "anomalies": {name.value: by_name[name] for name in Name},
        }
