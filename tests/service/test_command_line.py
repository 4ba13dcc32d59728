"""Command lines: options for every setting, and exit codes that mean something."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from pydantic import Field, SecretStr

from service.command_line import Group, SettingsCommand, run_async, run_command, settings_options, version_option
from service.errors import CommandError, ServiceUnavailableError, SettingsError, StoppedError
from service.settings import Settings

PROJECT = Path(__file__).parents[2]


class ExampleSettings(Settings):
    """Settings of the example command."""

    api_port: int = Field(80, description="Port to listen on.")
    api_token: SecretStr | None = Field(None, description="Token of admins.")


@click.command(cls=SettingsCommand)
@settings_options(ExampleSettings)
@click.option("--times", default=1, type=int, help="How often.")
@click.argument("places", nargs=-1)
def example(settings: ExampleSettings, times: int, places: tuple[str, ...]) -> None:
    """Say which settings were given."""
    if "away" in places:
        raise ServiceUnavailableError("Kafka is away\nand Redis too")
    click.echo(f"{settings.api_port} {times} {settings.api_token}")


def ending(error: BaseException | None) -> click.Command:
    """Return a command that ends with this error."""

    @click.command()
    def command() -> None:
        if error:
            raise error

    return command


def run(command: click.Command, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    """Run a command line as a process would, and return its exit code."""
    monkeypatch.setattr("sys.argv", ["example", *arguments])
    with pytest.raises(SystemExit) as caught:
        run_command(command, "example")
    return caught.value.code


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (None, 0, ""),
        (CommandError("it differs\nin two places"), 1, "error: it differs\nerror: in two places\n"),
        (SettingsError(["A: wrong", "B: missing"]), 2, "settings: A: wrong\nsettings: B: missing\n"),
        (ServiceUnavailableError("Kafka is away"), 75, "error: Kafka is away\n"),
        (StoppedError("run it again"), 130, "error: run it again\n"),
        (KeyboardInterrupt(), 130, "\n"),
    ],
)
def test_the_exit_code_tells_the_outcome(
    error: BaseException | None,
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """0 done, 1 something is wrong, 2 wrong settings, 75 a service is away, 130 Ctrl-C; each fault on its own line."""
    assert run(ending(error), monkeypatch) == code
    assert capsys.readouterr().err == text


@pytest.mark.parametrize("arguments", [["--unknown"], ["--times", "often"]])
def test_wrong_usage_ends_with_2(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command line does not know is wrong usage."""
    assert run(example, monkeypatch, *arguments) == 2


def test_wrong_settings_end_with_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """All faults of the settings are told, whether from the environment or from flags."""
    monkeypatch.setenv("LOG_FORMAT", "xml")
    assert run(example, monkeypatch, "--api-port", "http") == 2
    assert [line[:20] for line in capsys.readouterr().err.splitlines()] == [
        "settings: LOG_FORMAT",
        "settings: API_PORT: ",
    ]


def test_a_flag_overrides_its_variable() -> None:
    """Each setting has an option of its name, which counts before the environment variable."""
    outcome = CliRunner(env={"API_PORT": "81", "API_TOKEN": "word"}).invoke(
        example, ["--api-port", "82", "--times", "3"]
    )
    assert outcome.output == "82 3 **********\n"
    assert CliRunner(env={"API_PORT": "81"}).invoke(example).output == "81 1 None\n"


def test_help_tells_every_option_with_variable_and_default() -> None:
    """The help of a command names each setting, its environment variable and what holds without it."""
    text = " ".join(CliRunner().invoke(example, ["--help"]).output.split())
    assert "Say which settings were given." in text
    assert "--api-port INTEGER Port to listen on. [env: API_PORT; default: 80]" in text
    assert "--api-token VALUE Token of admins. [env: API_TOKEN]" in text
    assert "--log-format console|json" in text
    assert "--times INTEGER How often." in text
    options, settings = text.split("Settings:")
    assert "--times" in options
    assert "--help" in options
    assert "--api-port" in settings


@pytest.mark.parametrize("arguments", [["-h"], ["--help"]])
def test_summaries_are_whole(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The help of a group has the first sentence of each command, however long it is."""
    sentence = "Say " + "which settings " * 20 + "were given"

    @click.group(cls=Group)
    def group() -> None:
        """Hold one."""

    @group.command(help=sentence + ". And more.")
    def long() -> None:
        """Do nothing."""

    assert run(group, monkeypatch, *arguments) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert sentence in said
    assert "And more" not in said


def test_the_version_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """--version names the project and its version."""
    assert run(version_option(example), monkeypatch, "--version") == 0
    assert re.fullmatch(r"operator-status \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "code", "events"),
    [
        (["--log-format", "json", "away"], 75, ["Kafka is away", "and Redis too"]),
        (["--log-format", "json", "--api-port", "http"], 2, ["API_PORT: "]),
        (["--times", "often"], 2, ["Invalid value for '--times': "]),
    ],
)
def test_last_words_are_lines_of_a_json_log(
    arguments: list[str],
    code: int,
    events: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where the log is JSON, an error is too, whether a flag or the environment says so: one object for each fault."""
    if "--log-format" not in arguments:
        monkeypatch.setenv("LOG_FORMAT", "json")
    assert run(example, monkeypatch, *arguments) == code
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"][: len(event)] for line, event in zip(lines, events, strict=True)] == events
    assert {(line["level"], line["exit_code"]) for line in lines} == {("error", code)}


def test_what_is_passed_over_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line of the log names the variables that Kubernetes sets for a service of a setting's name."""
    monkeypatch.setenv("API_PORT", "tcp://10.96.7.3:8080")
    assert run(example, monkeypatch, "--log-format", "json") == 0
    said = capsys.readouterr()
    assert said.out == "80 1 None\n"
    assert [json.loads(line)["variables"] for line in said.err.splitlines()] == [["API_PORT"]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_output_that_cannot_be_written_is_told() -> None:
    """A full disk under standard output is a sentence and exit code 1, whatever is left in buffers."""
    code = (
        "import click; from service.command_line import run_command; "
        "run_command(click.Command('example', callback=lambda: click.echo('x' * 100)))"
    )
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=PROJECT, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.stderr == "error: what was to be said or kept cannot be written: No space left on device\n"
    assert done.returncode == 1


def test_a_coroutine_runs_to_its_end() -> None:
    """What is handed over runs in an event loop, and its error comes out as it is."""
    seen = []

    async def main() -> None:
        await asyncio.sleep(0)
        seen.append("ran")
        raise ServiceUnavailableError("away")

    with pytest.raises(ServiceUnavailableError, match="away"):
        run_async(main())
    assert seen == ["ran"]
