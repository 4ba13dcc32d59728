"""Who may import whom inside the projector."""

import pytest

from tests.architecture.modules import PROJECT, imports_of, modules_of
from tests.architecture.rooms_of_projector import ROOMS_OF_PROJECTOR

# All that the fold needs of Python and of others: nothing here opens, sends, waits or logs.
PURE = frozenset({"bisect", "collections", "dataclasses", "operator", "orjson", "schemas", "typing", "zlib"})
MOST_FILES = 14


@pytest.mark.parametrize("room", ROOMS_OF_PROJECTOR)
def test_a_room_imports_only_the_rooms_before_it(room: str) -> None:
    """Rooms are entered in one direction."""
    allowed = ROOMS_OF_PROJECTOR[room] | {room}
    modules = {name: path for name, path in modules_of("projector").items() if f"{name}.".startswith(f"{room}.")}
    assert len(modules) > 1
    for name, path in modules.items():
        ours = {imported.name for imported in imports_of(path) if imported.top == "projector"}
        rooms = {".".join(one.split(".")[:2]) for one in ours}
        assert rooms <= allowed, name


def test_the_table_names_every_room() -> None:
    """Every folder of the projector has its row."""
    folders = {path.parent.name for path in (PROJECT / "projector").glob("*/__init__.py")}
    assert {f"projector.{folder}" for folder in folders} == set(ROOMS_OF_PROJECTOR)


def test_the_fold_is_pure() -> None:
    """The fold takes values and returns values."""
    for name, path in modules_of("projector").items():
        if name.startswith("projector.fold."):
            assert {imported.top for imported in imports_of(path)} <= PURE | {"projector"}, name


def test_a_folder_is_seen_at_a_glance() -> None:
    """No folder holds more than a reader can keep in mind."""
    folders = [PROJECT / "projector", *(path for path in (PROJECT / "projector").rglob("*") if path.is_dir())]
    files = {folder: [path for path in folder.iterdir() if path.suffix in {".py", ".lua"}] for folder in folders}
    assert {folder.name: len(held) for folder, held in files.items() if len(held) > MOST_FILES} == {}
