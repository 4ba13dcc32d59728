"""Which job a worker reports on, from where it runs."""

from pathlib import Path
from typing import Any

import pytest

from operator_status.event import ReportedJob
from operator_status.identity import reported_job

OURS = {"OPERATOR_OWNER": "0x1", "OPERATOR_AGREEMENT_ID": "0x2", "OPERATOR_JOB_ID": "j", "OPERATOR_ATTEMPT": "4"}
SLURM = {"SLURM_JOB_ID": "77", "SLURM_RESTART_COUNT": "2"}
LABELS = """app="train"
batch.kubernetes.io/job-name="train-x7"
operator-status/owner="0x9"
operator-status/attempt="3"
"""
ANNOTATIONS = """operator-status/agreement-id="0xAB \\"quoted\\" \\\\ "
kubernetes.io/config.seen="2026-11-26T22:00:00Z"
"""


@pytest.fixture
def pod(tmp_path: Path) -> dict[str, str]:
    """The environment of a pod whose labels and annotations are mounted."""
    (tmp_path / "labels").write_text(LABELS)
    (tmp_path / "annotations").write_text(ANNOTATIONS)
    return {"OPERATOR_PODINFO": str(tmp_path)}


def test_from_variables_of_ours() -> None:
    """OPERATOR_... names the job, whatever the platform says."""
    assert reported_job(OURS | SLURM, source="/w") == ReportedJob("0x1", "0x2", "j", 4, "/w")


def test_what_is_given_wins() -> None:
    """What is given by name is stronger than everything else."""
    job = reported_job(OURS | SLURM, owner="0xF", agreement_id="a", job_id="k", attempt=9, source="/w")
    assert job == ReportedJob("0xF", "a", "k", 9, "/w")


def test_kubernetes(pod: dict[str, str]) -> None:
    """Labels and annotations of a pod name the job; without one of ours the Job's own name does."""
    job = reported_job(pod)
    assert job[:4] == ("0x9", '0xAB "quoted" \\ ', "train-x7", 3)
    (Path(pod["OPERATOR_PODINFO"]) / "annotations").write_text('operator-status/job-id="mine"\n')
    assert reported_job(pod).job_id == "mine"
    assert reported_job(pod | {"OPERATOR_JOB_ID": "explicit"}).job_id == "explicit"


@pytest.mark.parametrize(
    ("environment", "job_id", "attempt"),
    [
        (SLURM, "77", 3),
        ({"SLURM_JOB_ID": "77"}, "77", 1),
        ({"NOMAD_JOB_ID": "train/dispatch-1"}, "train/dispatch-1", 1),
        ({}, "", 1),
    ],
)
def test_schedulers(environment: dict[str, str], job_id: str, attempt: int) -> None:
    """Schedulers say which job it is and how often it was begun; the rest is this machine's name, or nothing."""
    job = reported_job({**environment, "OPERATOR_PODINFO": "/nowhere"})
    assert (job.job_id, job.attempt, job.owner) == (job_id, attempt, "")
    assert job.source.startswith("/workers/")


def test_htcondor(tmp_path: Path) -> None:
    """The job's ad names cluster and process, and how often it was begun."""
    ad = tmp_path / ".job.ad"
    ad.write_text('Owner = "alice"\nClusterId = 12\nProcId = 3\nNumShadowStarts = 2\n')
    assert reported_job({"_CONDOR_JOB_AD": str(ad)})[2:4] == ("12.3", 2)
    ad.write_text("rubbish")
    assert reported_job({"_CONDOR_JOB_AD": str(ad)}).job_id == ""


@pytest.mark.parametrize("value", ["x", "1.5", "-1", "²", ""])
def test_a_number_that_is_none(value: str) -> None:
    """What is no number is handed on for the check to find; nothing raises."""
    attempt: Any = reported_job({"OPERATOR_ATTEMPT": value}).attempt
    assert attempt == (value or 1)
