"""Who may import whom inside of a room: each `rooms_of_<room>.py` has a table with the name of the file."""

from importlib import import_module
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.modules import PROJECT, imports_of, modules_of

pytestmark = pytest.mark.group("architecture")  # each file is parsed once

TABLES: Final = {
    path.stem.removeprefix("rooms_of_"): getattr(import_module(f"tests.architecture.{path.stem}"), path.stem.upper())
    for path in sorted(Path(__file__).parent.glob("rooms_of_*.py"))
}
# All that the fold needs of Python and of others: nothing there opens, sends, waits or logs.
PURE: Final = frozenset(
    {
        "bisect",
        "collections",
        "dataclasses",
        "msgspec",
        "operator",
        "orjson",
        "projector",
        "re",
        "schemas",
        "typing",
        "zlib",
    }
)
INNER_ROOMS: Final = [(room, inner) for room, table in TABLES.items() for inner in table]


def is_in(name: str, room: str) -> bool:
    """Tell whether a module is a room, or in it."""
    return f"{name}.".startswith(f"{room}.")


def inner_room_of(room: str, name: str) -> str:
    """Return the innermost room of the table that a module is in; empty when it is in none."""
    return max((inner for inner in TABLES[room] if is_in(name, inner)), key=len, default="")


def imported_by(name: str, modules: dict[str, Path]) -> set[str]:
    """Return which of these modules one of them imports."""
    names = {imported.name for imported in imports_of(modules[name])}
    return modules.keys() & (names | {imported.rpartition(".")[0] for imported in names})


def leaves(room: str) -> set[str]:
    """Return the modules at the root of a room that import nothing of it but each other."""
    modules = modules_of(room)
    found = {name for name, path in modules.items() if path.parent == PROJECT / room}
    while others := {name for name in found if imported_by(name, modules) - found}:
        found -= others
    return found


@pytest.mark.parametrize(("room", "inner"), INNER_ROOMS, ids=[inner for _, inner in INNER_ROOMS])
def test_an_inner_room_imports_only_the_inner_rooms_it_may(room: str, inner: str) -> None:
    """Inside of a room, too, the way through it leads in one direction."""
    modules, allowed = modules_of(room), {inner, *TABLES[room][inner]}
    inside = [name for name in modules if inner_room_of(room, name) == inner]
    assert inside
    for name in inside:
        beyond = imported_by(name, modules) - leaves(room)
        assert {other for other in beyond if not any(is_in(other, it) for it in allowed)} == set(), name


@pytest.mark.parametrize("room", TABLES)
def test_every_folder_is_in_an_inner_room(room: str) -> None:
    """The table knows every folder of the room, so that no new one escapes it."""
    folders = {name for name, path in modules_of(room).items() if path.name == "__init__.py" and name != room}
    assert {folder for folder in folders if not inner_room_of(room, folder)} == set()


def test_only_the_web_room_speaks_http() -> None:
    """What is asked, answered and read is known without an HTTP library."""
    speaking = {name for name, path in modules_of("api").items() if "aiohttp" in {it.top for it in imports_of(path)}}
    assert speaking
    assert {name for name in speaking if not is_in(name, "api.web")} == set()


def test_the_fold_is_pure() -> None:
    """The fold takes values and returns values."""
    modules = {name: path for name, path in modules_of("projector").items() if is_in(name, "projector.fold")}
    assert modules
    for name, path in modules.items():
        assert {imported.top for imported in imports_of(path)} <= PURE, name


def test_verify_does_not_use_the_fold_that_it_checks() -> None:
    """The rule of the fold is written twice: none of verify imports the first one, nor what is made of it."""
    modules = modules_of("projector")
    checking = {name: path for name, path in modules.items() if is_in(name, "projector.replay.verify")}
    assert checking
    for name in checking:
        folding = {other for other in imported_by(name, modules) if is_in(other, "projector.fold")}
        assert folding <= {"projector.fold", "projector.fold.record"}, name


def test_the_second_rule_knows_nothing_of_the_first() -> None:
    """It is made of events alone: neither of the projector nor of how registers are written."""
    path = modules_of("projector")["projector.replay.verify.facts"]
    names = {imported.name for imported in imports_of(path)}
    assert not {name for name in names if is_in(name, "projector") or is_in(name, "schemas.registers")}
