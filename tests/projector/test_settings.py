"""What the projector can be told."""

import pytest
from click.testing import CliRunner

from projector.commands.command_line import commands
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
    """No command begins to work with such settings: it ends with the faults, which mean exit code 2."""
    ended = CliRunner(env=CIRCLE).invoke(commands, command.split())
    assert isinstance(ended.exception, SettingsError)
    assert str(ended.exception).count("KAFKA_DEAD_LETTER_TOPIC is KAFKA_TOPIC") == 1
