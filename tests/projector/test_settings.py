"""What the projector can be told."""

import os
import subprocess
import sys

import pytest

from projector.settings import ProjectorSettings
from service.errors import SettingsError

CIRCLE = {"KAFKA_TOPIC": "events", "KAFKA_DEAD_LETTER_TOPIC": "events"}
COMMANDS = (
    "run",
    "doctor",
    "topics create",
    "skip --to-log-start",
    "dead-letters list",
    "rebuild",
    "generations list",
    "verify",
    "export",
    "import archive",
    "expire --before 1d",
)


def test_letters_do_not_go_into_the_log() -> None:
    """A dead-letter topic that is the log itself would fill it without end, and is told with the other faults."""
    with pytest.raises(SettingsError) as caught:
        ProjectorSettings.load(CIRCLE)
    assert "KAFKA_DEAD_LETTER_TOPIC is KAFKA_TOPIC" in str(caught.value)
    assert ProjectorSettings.load({"KAFKA_TOPIC": "events"}).dead_letter_topic == "dlq.events"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_it(command: str) -> None:
    """No command begins to work with such settings: it ends with 2 and the sentence."""
    done = subprocess.run(
        [sys.executable, "-m", "projector", *command.split()],
        env=os.environ | CIRCLE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("KAFKA_DEAD_LETTER_TOPIC is KAFKA_TOPIC")) == (2, 1), done.stderr
