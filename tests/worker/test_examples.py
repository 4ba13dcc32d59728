"""The examples, run as their first lines say: each reports jobs that are shown finished, failed and cancelled.

With EXAMPLES_ON_PAGE=1 each job is looked up on the page too, in a real browser.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml  # type: ignore[import-untyped]
from playwright.sync_api import Page, expect, sync_playwright

from devstack.jars import kafka_jars
from tests.support.deployment import Deployment, wait_for
from tests.support.services import Services

pytestmark = [pytest.mark.server, pytest.mark.xdist_group("examples")]

EXAMPLES = Path(__file__).parents[2] / "examples"
BIN = Path(sys.executable).parent
OUTCOMES = ("succeeded", "failed", "cancelled")
BUILD_SECONDS = 240
RUN_SECONDS = 60
PAGE_MILLISECONDS = 30_000
CHROMIUM = "/usr/bin/chromium"
ON_PAGE = {name: re.compile(rf"\b{name}\b", re.IGNORECASE) for name in OUTCOMES}


class System(Deployment):
    """A running system, and a page of it in a browser, if one is to be looked at."""

    page: Page | None = None


@pytest.fixture(scope="module")
def system(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running system, whose API's address is ADDRESS."""
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("examples")
        running = stack.enter_context(System(services, f"examples-{uuid.uuid4().hex[:8]}", folder))
        running.start_projector()
        running.environment["ADDRESS"] = running.start_api()
        if os.environ.get("EXAMPLES_ON_PAGE"):
            running.page = stack.enter_context(browser_page())
        yield running


@contextmanager
def browser_page() -> Iterator[Page]:
    """Yield an empty page of a headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page()
        browser.close()


@pytest.fixture
def job() -> str:
    """A job of the test's own."""
    return f"job-{uuid.uuid4().hex[:8]}"


def needs(*programs: str) -> None:
    """Skip the test where one of these programs is not installed."""
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")


def run(system: System, command: list[str], folder: Path, **others: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of an example; AssertionError unless it ends with 0."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(system, **others),
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def environment(system: System, **others: str) -> dict[str, str]:
    """Return the environment of a worker that knows its owner and agreement, and finds our commands."""
    known = {"OPERATOR_OWNER": "0x1111", "OPERATOR_AGREEMENT_ID": "0x2222", "PATH": f"{BIN}:{os.environ['PATH']}"}
    return {**system.environment, **known, **others}


def shown(system: System, job: str) -> dict[str, Any]:
    """Return the timeline of a job that has ended, as soon as the API shows it."""
    address = f"{system.environment['ADDRESS']}/api/v1/operator/status/timeline?jobId={job}"

    def ended() -> dict[str, Any] | None:
        with urllib.request.urlopen(address, timeout=RUN_SECONDS) as answer:
            jobs: list[dict[str, Any]] = json.load(answer)
        return jobs[0] if jobs and jobs[0]["status"] == 5 else None

    found: dict[str, Any] = wait_for(ended, f"{job} is shown finished")
    if system.page:
        see(system.page, system.environment["ADDRESS"], found)
    return found


def see(page: Page, address: str, job: Mapping[str, Any]) -> None:
    """Look a job up on the page; AssertionError unless that shows the job and its outcome."""
    page.goto(f"{address}/?{urlencode({'jobId': job['jobId']})}")
    expect(page.locator("body")).to_contain_text(job["jobId"], timeout=PAGE_MILLISECONDS)
    expect(page.locator("body")).to_contain_text(ON_PAGE[job["outcome"]], timeout=PAGE_MILLISECONDS)


def reports(system: System, command: list[str], folder: Path, job: str) -> None:
    """Let a program that takes stage and outcome report three jobs, and see what is shown of them."""
    for outcome in OUTCOMES:
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


@pytest.mark.long(30)
def test_java(system: System, job: str) -> None:
    """A source file, and Kafka's own client."""
    needs("java", "javac")
    path = ":".join(map(str, kafka_jars()))
    reports(system, ["java", "-cp", path, "Report.java"], EXAMPLES / "java", job)


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


@pytest.mark.parametrize(
    ("code", "outcome"), [("0:0", "succeeded"), ("3:0", "failed"), ("0:9", "failed"), ("0:15", "cancelled")]
)
def test_slurm(system: System, job: str, code: str, outcome: str) -> None:
    """Prolog and epilog, with the variables that Slurm sets for them, of a job that was requeued once."""
    slurm = {
        "OPERATOR_OWNER": "",
        "OPERATOR_AGREEMENT_ID": "",
        "SLURM_JOB_COMMENT": "owner=0x1111 agreement=0x2222 more",
        "SLURM_JOB_ID": f"{job}-{code}",
        "SLURM_RESTART_COUNT": "1",
        "SLURM_JOB_EXIT_CODE2": code,
    }
    for script in ("prolog.sh", "epilog.sh"):
        run(system, [f"./{script}"], EXAMPLES / "slurm", **slurm)
    timeline = shown(system, f"{job}-{code}")
    assert (timeline["outcome"], timeline["attempt"]) == (outcome, 2)
    assert [stage["status"] for stage in timeline["stages"]] == [1, 3, 5]


def test_slurm_begins_a_job_whatever_happens(system: System) -> None:
    """A job that nobody can name, and a Kafka that is away, keep no job from beginning."""
    run(system, ["./prolog.sh"], EXAMPLES / "slurm", OPERATOR_OWNER="", SLURM_JOB_ID="1")


def containers() -> Mapping[str, Mapping[str, Any]]:
    """Return the containers of the Kubernetes Job, and its template."""
    pod = yaml.safe_load((EXAMPLES / "kubernetes" / "job.yaml").read_text())["spec"]["template"]
    named = {one["name"]: one for one in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])}
    return {**named, "metadata": pod["metadata"]}


@pytest.mark.parametrize(
    ("outcome", "work"), [("succeeded", "true"), ("failed", "sh -c 'exit 137'"), ("cancelled", "sleep 60")]
)
def test_kubernetes(system: System, job: str, tmp_path: Path, outcome: str, work: str) -> None:
    """The commands of the Job's containers, with labels and annotations as the downward API writes them."""
    pod = containers()
    labels = pod["metadata"]["labels"] | {"operator-status/job-id": job}
    for name, pairs in (("labels", labels), ("annotations", pod["metadata"]["annotations"])):
        (tmp_path / name).write_text("".join(f'{key}="{value}"\n' for key, value in pairs.items()))
    known = {"OPERATOR_PODINFO": str(tmp_path), "OPERATOR_OWNER": "", "OPERATOR_AGREEMENT_ID": ""}

    def command(name: str) -> list[str]:
        text = pod[name]["args"][0].replace("/job/", f"{tmp_path}/").replace("python -m worker", "status-worker")
        return [*pod[name]["command"], text.replace("echo 'the algorithm'", f"{work}; true '' || echo")]

    run(system, command("configure"), tmp_path, **known)
    upload = subprocess.Popen(command("upload"), env=environment(system, **known), cwd=tmp_path, start_new_session=True)
    if outcome == "cancelled":
        wait_for(partial(runs, system, job), "the job runs")
        os.kill(upload.pid, signal.SIGTERM)
        assert upload.wait(RUN_SECONDS) == 143
    else:
        (tmp_path / "ended").write_text("0\n" if outcome == "succeeded" else "137\n")
        assert upload.wait(RUN_SECONDS) == 0
    timeline = shown(system, job)
    assert timeline["outcome"] == outcome
    stages = [1, 2, 3, 5] if outcome == "cancelled" else [1, 2, 3, 4, 5]
    assert [stage["status"] for stage in timeline["stages"]] == stages


def runs(system: System, job: str) -> bool:
    """Tell whether a job is shown running."""
    return "3" in statuses(system, job)


def statuses(system: System, job: str) -> str:
    """Return the job's status as a text; empty while nobody knows it."""
    address = f"{system.environment['ADDRESS']}/api/v1/operator/status?jobId={job}"
    with urllib.request.urlopen(address, timeout=RUN_SECONDS) as answer:
        return "".join(str(one["status"]) for one in json.load(answer))


@pytest.mark.parametrize(
    ("outcome", "script"),
    [("succeeded", "true"), ("failed", "echo 'no such file' >&2; exit 2"), ("cancelled", "exec sleep 60")],
)
def test_systemd(system: System, job: str, tmp_path: Path, outcome: str, script: str) -> None:
    """The unit's command with the unit's environment, stopped as systemd stops it; and what delivers later."""
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(EXAMPLES / "systemd" / "operator-job@.service")
    program = tmp_path / "job"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    command = unit["Service"]["ExecStart"].replace("%i", job).replace("/usr/local/bin/job", str(program))
    known = environment(system, OPERATOR_JOB_ID=job, WORKER_SPOOL=str(tmp_path / "spool"))
    process = subprocess.Popen(shlex.split(command), env=known)
    if outcome == "cancelled":
        wait_for(partial(runs, system, job), "the job runs")
        process.terminate()
    process.wait(RUN_SECONDS)
    timeline = shown(system, job)
    assert timeline["outcome"] == outcome
    assert timeline["error"] == ("no such file" if outcome == "failed" else None)


@pytest.mark.parametrize("unit", ["operator-job@.service", "operator-deliver.service"])
def test_systemd_understands_the_units(unit: str, tmp_path: Path) -> None:
    """Each unit is one that systemd itself finds no fault with, but that our commands are not in its path here."""
    needs("systemd-analyze")
    for name in ("operator-job@.service", "operator-deliver.service"):
        text = (EXAMPLES / "systemd" / name).read_text().replace("ExecStart=status-worker", "ExecStart=/bin/true")
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / unit], capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    assert not [line for line in done.stderr.splitlines() if str(tmp_path) in line], done.stderr


@pytest.mark.long(15)
def test_celery(system: System, tmp_path: Path) -> None:
    """A task, run by a worker of its own in a process of its pool: it ends well, it fails, and it is revoked."""
    shutil.copy(EXAMPLES / "celery" / "tasks.py", tmp_path)
    broker = {"CELERY_BROKER": system.services.redis_url.rpartition("/")[0] + "/1"}
    known = environment(system, **broker)
    queue = f"queue-{uuid.uuid4().hex[:8]}"
    command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-Q", queue, "-c", "1"]
    worker = subprocess.Popen(command, cwd=tmp_path, env=known, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for outcome, epochs in (("succeeded", "2"), ("failed", "-1"), ("cancelled", "10**9")):
            call = f"tasks.train.apply_async(['0x1111', '0x2222', {epochs}], queue={queue!r})"
            name = run(system, [sys.executable, "-c", f"import tasks; print({call}.id)"], tmp_path, **broker).stdout
            if outcome == "cancelled":
                wait_for(partial(runs, system, name.strip()), "the task runs")
                revoke = f"tasks.app.control.revoke({name.strip()!r}, terminate=True)"
                run(system, [sys.executable, "-c", f"import tasks; {revoke}"], tmp_path, **broker)
            assert shown(system, name.strip())["outcome"] == outcome
    finally:
        worker.terminate()
        worker.wait(RUN_SECONDS)
