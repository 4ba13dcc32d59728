"""Which job this is, from where it runs: what is given by name wins, then OPERATOR_..., then what the platform says.

| platform | job | attempt |
|---|---|---|
| Kubernetes | labels and annotations `operator-status/...`, else the Job's name | `operator-status/attempt` |
| Slurm | `SLURM_JOB_ID` | `SLURM_RESTART_COUNT` + 1 |
| Nomad | `NOMAD_JOB_ID` | |
| HTCondor | `ClusterId`.`ProcId` of `_CONDOR_JOB_AD` | `NumShadowStarts` |
"""

import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from operator_status.event import ReportedJob

FIELDS: Final = ("owner", "agreement_id", "job_id", "attempt", "source")
PREFIX: Final = "OPERATOR_"
PODINFO_VARIABLE: Final = "OPERATOR_PODINFO"
PODINFO: Final = "/etc/podinfo"  # where the documentation of Kubernetes mounts it
LABEL_PREFIX: Final = "operator-status/"
MAX_FILE_BYTES: Final = 1024 * 1024

_PAIR: Final = re.compile(r'^([^=\s]+)="((?:[^"\\]|\\.)*)"$', re.MULTILINE)
_ATTRIBUTE: Final = re.compile(r"^(\w+) *= *(\d+) *$", re.MULTILINE)
_ESCAPED: Final = re.compile(r"\\(.)")
_JOB_NAMES: Final = ("batch.kubernetes.io/job-name", "job-name")


def reported_job(environment: Mapping[str, str], **given: Any) -> ReportedJob:
    """Return the job, with an empty text for what nobody knows, which no event takes."""
    known = {"source": f"/workers/{platform.node()}"}
    for platform_of in (_htcondor, _nomad, _slurm, _kubernetes, _operator):
        known |= {name: value for name, value in platform_of(environment).items() if value}
    known |= {name: value for name, value in given.items() if value is not None}
    attempt = known.get("attempt", 1)
    return ReportedJob(
        known.get("owner", ""),
        known.get("agreement_id", ""),
        known.get("job_id", ""),
        _number(attempt),
        known.get("source", ""),
    )


def _operator(environment: Mapping[str, str]) -> dict[str, Any]:
    return {name: environment.get(PREFIX + name.upper()) for name in FIELDS}


def _kubernetes(environment: Mapping[str, str]) -> dict[str, Any]:
    folder = Path(environment.get(PODINFO_VARIABLE) or PODINFO)
    pairs = {
        name: _ESCAPED.sub(r"\1", value)
        for file in ("annotations", "labels")
        for name, value in _PAIR.findall(_text(folder / file))
    }
    known = {name: pairs.get(LABEL_PREFIX + name.replace("_", "-")) for name in FIELDS}
    named = next((pairs[name] for name in _JOB_NAMES if name in pairs), None)
    return known | {"job_id": known["job_id"] or named}


def _slurm(environment: Mapping[str, str]) -> dict[str, Any]:
    if "SLURM_JOB_ID" not in environment:
        return {}
    restarts = _number(environment.get("SLURM_RESTART_COUNT", "0"))
    attempt = restarts + 1 if isinstance(restarts, int) else None
    return {"job_id": environment["SLURM_JOB_ID"], "attempt": attempt}


def _nomad(environment: Mapping[str, str]) -> dict[str, Any]:
    return {"job_id": environment.get("NOMAD_JOB_ID")}


def _htcondor(environment: Mapping[str, str]) -> dict[str, Any]:
    path = environment.get("_CONDOR_JOB_AD")
    if not path:
        return {}
    ad = dict(_ATTRIBUTE.findall(_text(Path(path))))
    if "ClusterId" not in ad:
        return {}
    starts = int(ad.get("NumShadowStarts", "1"))
    return {"job_id": f"{ad['ClusterId']}.{ad.get('ProcId', '0')}", "attempt": max(starts, 1)}


def _text(path: Path) -> str:
    """Return what a file holds; nothing when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _number(value: Any) -> Any:
    """Return the number, or what was given itself, for the check to find together with other faults."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() else value
