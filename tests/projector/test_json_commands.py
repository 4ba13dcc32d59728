"""What commands tell programs, on a real Kafka and Redis."""

import json
from typing import Any

from tests.support.deployment import Deployment, wait_for
from tests.support.events import event
from tests.support.processes import run

LIMIT_SECONDS = 60.0


def test_commands_tell_programs(deployment: Deployment) -> None:
    """With --json each line is an object, and the last one of `verify` is the summary."""
    deployment.publish_event(event(), 0)
    projector = deployment.start_projector()
    deployment.wait_until_applied()
    wait_for(deployment.heartbeats, "the projector has confirmed where it stands")

    def told(*arguments: str) -> list[dict[str, Any]]:
        arguments = (*arguments, "--json")
        done = run("projector", arguments, deployment.environment, deployment.directory, LIMIT_SECONDS)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert {"kafka", "redis", "projection"} <= {finding["check"] for finding in told("doctor")}
    assert told("verify")[-1]["summary"]["jobs"] == 1
    before = "2000-01-01T00:00:00Z"
    assert told("expire", "--before", before, "--dry-run") == [{"before": before, "old": 0, "jobs": 1}]
    assert [generation["generation"] for generation in told("generations")] == [1]
    assert told("generations", "list")[0].keys() == told("generations")[0].keys()
    assert told("dead-letters", "list") == []
    nothing = {"good": 0, "still_bad": 0, "places": [], "dry_run": True}
    assert told("dead-letters", "redrive", "--dry-run") == [nothing]
    archive = str(deployment.directory / "archive")
    assert told("export", "--output", archive) == [{"exported": 1, "jobs": 1, "caught_up": True}]
    assert told("import", archive) == [{"imported": 2, "live": 1, "jobs": 1}]
    assert told("generations", "drop", "2", "--wait", "0")[0]["gone"] == 2
    deployment.stop(projector)
    deployment.publish_event(event(), 0)
    skipped = {"partition": f"{deployment.topic}/0", "start": 1, "to": 2}
    assert told("skip", "--partition", "0", "--to", "2") == [{"skipped": [skipped]}]
