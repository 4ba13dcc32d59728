"""The tables of limits against the code: each row is a constant of that value, and each limit has its row."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

import api
import operator_status
import projector
import schemas
import worker.watching
from api.metrics import LIMITS
from tests.support.markdown import DOCS, table

TABLES = {"Limits": (api,), "Limits of events and of the projector": (schemas, projector)}
# What is a limit by its name; others may stand in the tables too.
_LIMIT = re.compile(r"(MAX|MIN)_[A-Z_]+")


def constants(*rooms: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield names and values of all public constants of rooms."""
    for room in rooms:
        for found in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
            if not found.name.endswith("__main__"):
                for name, value in vars(importlib.import_module(found.name)).items():
                    if re.fullmatch(r"[A-Z][A-Z_]+", name):
                        yield name, value


def as_text(value: object) -> str:
    """Return a value as the tables write it: without a fraction that is zero, times in seconds."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("heading", TABLES)
def test_each_row_is_a_limit_of_the_code(heading: str) -> None:
    """Names and values of the table are those of the code."""
    known = {(name, as_text(value)) for name, value in constants(*TABLES[heading])}
    rows = [(cells[0].strip("`"), cells[1]) for cells in table(DOCS / "operations.md", heading)]
    assert [row for row in rows if row not in known] == []
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("heading", TABLES)
def test_each_limit_of_the_code_has_a_row(heading: str) -> None:
    """What is called a limit in the code stands in one of the tables."""
    rows = {(cells[0].strip("`"), cells[1]) for title in TABLES for cells in table(DOCS / "operations.md", title)}
    limits = {(name, as_text(value)) for name, value in constants(*TABLES[heading]) if _LIMIT.fullmatch(name)}
    assert sorted(limits - rows) == []


def test_each_limit_that_is_counted_is_named() -> None:
    """The labels of the metric of limits are those of the table."""
    labels = [cells[3].strip("`") for cells in table(DOCS / "operations.md", "Limits") if cells[3]]
    assert sorted(labels) == sorted(LIMITS)


def test_each_limit_of_the_watcher_is_a_limit_of_the_code() -> None:
    """Names and values of the watcher's table are those of the code, and each of its limits has a row."""
    there = {(name, as_text(value)) for name, value in constants(worker.watching)}
    rows = {(cells[0].strip("`"), cells[1]) for cells in table(DOCS / "watching.md", "Limits")}
    assert rows <= there
    assert {limit for limit in there if _LIMIT.fullmatch(limit[0])} <= rows


def test_each_limit_of_workers_is_a_limit_of_the_code() -> None:
    """Names and values of the workers' table are those of the code."""
    known = {(name, as_text(value)) for name, value in constants(operator_status)}
    rows = [(cells[0].strip("`"), cells[1]) for cells in table(DOCS / "workers.md", "Limits")]
    assert [row for row in rows if row not in known] == []
