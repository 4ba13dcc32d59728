"""Anomalies: what must never happen, by name."""

from enum import StrEnum
from typing import NamedTuple


class Name(StrEnum):
    """What each is called in the figures."""

    LOST_EVENT = "lost event"
    WRONG_PROJECTION = "wrong projection"
    OPEN_LEDGER = "open ledger"
    WRONG_LETTERS = "wrong dead letters"
    WRONG_ANSWER = "wrong answer"
    REGRESSED_STATUS = "regressed status"
    REGRESSED_ANSWER = "regressed answer"
    FALSE_EMPTY = "false empty answer"
    TWICE = "job twice in a list"
    MISSED = "job missing in a list"
    STALE = "stale answer not marked stale"
    FALSE_LAG = "lag smaller than the truth"
    SLOW = "slow answer"
    STREAM_SILENT = "stream that did not tell the truth"
    STUCK = "stuck"
    LEAKED = "leaked"
    TOO_LARGE = "too much memory"
    CRASHED = "crashed"


class Anomaly(NamedTuple):
    """Something that happened, and the evidence in a sentence."""

    name: Name
    detail: str
