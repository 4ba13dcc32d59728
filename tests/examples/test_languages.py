"""The examples in several languages, run as their first lines say: each reports jobs that end in every way."""

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from devstack.jars import kafka_jars
from tests.support.brokers import FOR_SECONDS
from tests.support.deployment import wait_for
from tests.support.examples import EXAMPLES, OUTCOMES, RUN_SECONDS, System, environment, needs, run, runs, shown

pytestmark = [pytest.mark.server, pytest.mark.group("examples")]

BUILD_SECONDS = 240


def reports(system: System, command: list[str], folder: Path, job: str, outcomes: tuple[str, ...] = OUTCOMES) -> None:
    """Let a program that takes stage and outcome report jobs, and see what is shown of them."""
    for outcome in outcomes:
        name = f"{job}-{outcome}"
        run(system, [*command, "running"], folder, OPERATOR_JOB_ID=name)
        run(system, [*command, "finished", outcome], folder, OPERATOR_JOB_ID=name)
        timeline = shown(system, name)
        assert timeline["outcome"] == outcome
        assert [stage["status"] for stage in timeline["stages"]] == [3, 5]


@pytest.mark.parametrize(
    ("outcome", "work"), [("succeeded", "pass"), ("failed", "raise OSError('no room')"), ("cancelled", "input()")]
)
def test_python(system: System, job: str, tmp_path: Path, outcome: str, work: str) -> None:
    """Three lines of Python, whose block is left as it may be."""
    program = tmp_path / "job.py"
    program.write_text(
        f"from operator_status import JobReporter\nwith JobReporter() as job:\n    job.running()\n    {work}\n"
    )
    known = environment(system, OPERATOR_JOB_ID=job)
    process = subprocess.Popen([sys.executable, program], env=known, cwd=tmp_path, stdin=subprocess.PIPE)
    if outcome == "cancelled":
        wait_for(partial(runs, system, job), "the job runs")
        process.terminate()
    process.communicate(timeout=RUN_SECONDS)
    timeline = shown(system, job)
    assert timeline["outcome"] == outcome
    assert (timeline["error"] or "").endswith("no room" if outcome == "failed" else "")


@pytest.mark.long(100)
def test_java(system: System, job: str, tmp_path: Path) -> None:
    """A source file, and Kafka's own client."""
    needs("java", "javac")
    folder, path = EXAMPLES / "java", ":".join(map(str, kafka_jars()))
    reports(system, ["java", FOR_SECONDS, "-cp", path, "Report.java"], folder, job, OUTCOMES[:1])
    # Compiled once, not at each start.
    run(system, ["javac", f"-J{FOR_SECONDS}", "-cp", path, "-d", str(tmp_path), "Report.java"], folder)
    reports(system, ["java", FOR_SECONDS, "-cp", f"{tmp_path}:{path}", "Report"], folder, job, OUTCOMES[1:])


@pytest.mark.long(30)
def test_go(system: System, job: str, tmp_path: Path) -> None:
    """One file and its module."""
    needs("go")
    program = tmp_path / "report"
    built = subprocess.run(
        ["go", "build", "-o", program, "."],
        cwd=EXAMPLES / "go",
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    if built.returncode and "dial tcp" in built.stderr:
        pytest.skip("the modules cannot be fetched")
    assert built.returncode == 0, built.stderr
    reports(system, [str(program)], EXAMPLES / "go", job)


@pytest.mark.long(15)
def test_node(system: System, job: str, tmp_path: Path) -> None:
    """One module and its package."""
    needs("node", "npm")
    for name in ("package.json", "report.mjs"):
        shutil.copy(EXAMPLES / "node" / name, tmp_path)
    options = ["--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline"]
    installed = subprocess.run(
        ["npm", "install", *options], cwd=tmp_path, capture_output=True, timeout=BUILD_SECONDS, check=False
    )
    if installed.returncode:
        pytest.skip("the package cannot be fetched")
    reports(system, ["node", "report.mjs"], tmp_path, job)


def test_shell(system: System, job: str) -> None:
    """A shell and kcat, and nothing of ours."""
    needs("kcat")
    reports(system, ["./report.sh"], EXAMPLES / "shell", job)


def test_programs_are_short() -> None:
    """Each of the programs is complete in less than thirty lines."""
    programs = ["java/Report.java", "go/main.go", "node/report.mjs", "shell/report.sh", "celery/tasks.py"]
    lengths = {name: len((EXAMPLES / name).read_text().splitlines()) for name in programs}
    assert {name: lines for name, lines in lengths.items() if lines >= 30} == {}
