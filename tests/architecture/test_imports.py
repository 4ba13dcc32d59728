"""Who may import whom."""

import ast
import graphlib
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from tests.architecture.modules import MAY_IMPORT, PROJECT, imports_of, modules_of, python_files
from tests.support.source import tree_of

pytestmark = pytest.mark.group("architecture")  # each file is parsed once

# What talks to anything outside of the process, or could.
TALKING = frozenset(
    {
        "aiohttp",
        "aiokafka",
        "asyncio",
        "concurrent",
        "http",
        "io",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "redis",
    }
    | {
        "select",
        "shutil",
        "signal",
        "socket",
        "ssl",
        "structlog",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "urllib",
    }
)
CONFIGURATION = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
OF_WORKERS = "operator_status"  # the one room that is a project of its own
ROOMS = list(MAY_IMPORT)


def installed_with(*extras: str) -> frozenset[str]:
    """Return the names of what is installed with the project and these extras of it."""
    project = CONFIGURATION["project"]
    wanted = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return frozenset().union(*(_with_dependencies(Requirement(line)) for line in wanted))


def _with_dependencies(requirement: Requirement) -> frozenset[str]:
    return _closure(requirement.name, frozenset(requirement.extras))


@cache
def _closure(name: str, extras: frozenset[str]) -> frozenset[str]:
    needed = [
        dependency
        for line in metadata.requires(name) or []
        if (dependency := Requirement(line)).marker is None
        or any(dependency.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]
    return frozenset({_canonical(name)}).union(*map(_with_dependencies, needed))


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-")


def foreign(names: set[str]) -> set[str]:
    """Return the top-level names that are neither ours nor Python's own."""
    return names - sys.stdlib_module_names - MAY_IMPORT.keys()


@cache
def provided_by() -> Mapping[str, list[str]]:
    """Return which distributions provide each top-level name; to look through all of them takes a while."""
    return metadata.packages_distributions()


def not_installed(names: set[str], distributions: frozenset[str]) -> set[str]:
    """Return the top-level names that none of these distributions provides."""
    return {name for name in names if not distributions.intersection(map(_canonical, provided_by().get(name, [])))}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_it_may(room: str) -> None:
    """The table of the design holds: rooms meet in schemas and service alone, and tests are imported by nobody."""
    allowed = MAY_IMPORT[room] | {room}
    ours = MAY_IMPORT.keys() | {"tests"}
    for name, path in modules_of(room).items():
        assert {imported.top for imported in imports_of(path)} & ours <= allowed, name


def test_tests_share_only_what_is_in_support() -> None:
    """Nothing is imported from a test module or from a conftest: what several tests need is in a module of its own."""
    for path in python_files("tests"):
        parts = {part for imported in imports_of(path) if imported.top == "tests" for part in imported.name.split(".")}
        assert not {part for part in parts if part == "conftest" or part.startswith("test_")}, path


def test_the_table_names_every_room() -> None:
    """The rooms of the table are the packages that are built, and each of them has modules."""
    built = CONFIGURATION["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(ROOMS) == sorted([OF_WORKERS, *built])
    assert all(modules_of(room) for room in ROOMS)


def test_no_module_imports_itself_by_a_detour() -> None:
    """Modules can be read one after the other: imports make no circle."""
    paths = {name: path for room in ROOMS for name, path in modules_of(room).items()}
    graph = {
        name: {
            target
            for imported in imports_of(path)
            if imported.is_immediate
            for target in (imported.name, imported.name.rpartition(".")[0])
            if target in paths and target != name and not name.startswith(target + ".")
        }
        for name, path in paths.items()
    }
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(paths)


def test_the_install_of_a_worker_suffices_to_import_it() -> None:
    """Compute workers install no web server, no Redis client and no metrics: nothing that they load needs them."""
    project = tomllib.loads((PROJECT / OF_WORKERS / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tops = {imported.top for path in modules_of(OF_WORKERS).values() for imported in imports_of(path)}
    needed = frozenset[str]().union(*(_with_dependencies(Requirement(line)) for line in project["dependencies"]))
    assert foreign(tops) == {"aiokafka", "click"}
    assert not not_installed(foreign(tops), needed)


@pytest.mark.parametrize("room", ["projector", "api", "devstack"])
def test_the_extra_of_a_room_suffices_for_it(room: str) -> None:
    """What a room imports is installed with the extra of its name."""
    ours = {room, *MAY_IMPORT[room]} | ({OF_WORKERS} if MAY_IMPORT[room] else set())
    paths = [path for one in ours for path in modules_of(one).values()]
    tops = {imported.top for path in paths for imported in imports_of(path)}
    assert not not_installed(foreign(tops), installed_with(room))


def test_schemas_talk_to_nobody() -> None:
    """The shapes are values and functions of values: nothing there opens, sends, waits or logs."""
    for name, path in modules_of("schemas").items():
        assert not TALKING & {imported.top for imported in imports_of(path)}, name
        called = {
            node.func.id
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"open", "print", "input", "exec", "eval"}, name
