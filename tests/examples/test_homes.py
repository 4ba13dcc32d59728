"""The examples of each home of jobs, run as that home runs them: each reports jobs that end in every way."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping
from configparser import ConfigParser
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.deployment import wait_for
from tests.support.examples import EXAMPLES, RUN_SECONDS, System, environment, needs, run, runs, shown

pytestmark = [pytest.mark.server, pytest.mark.group("examples")]


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
