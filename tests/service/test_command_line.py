"""Command lines: options for every setting, and exit codes that mean something."""

import asyncio
from typing import Any

import click
import pytest
from click.testing import CliRunner
from pydantic import Field, SecretStr

from service.command_line import run_async, run_command, settings_options
from service.errors import CommandError, ServiceUnavailableError, SettingsError
from service.settings import Settings


class ExampleSettings(Settings):
    """Settings of the example command."""

    api_port: int = Field(80, description="Port to listen on.")
    api_token: SecretStr | None = Field(None, description="Token of admins.")


@click.command()
@click.option("--times", default=1, type=int, help="How often.")
@settings_options(ExampleSettings)
def example(settings: ExampleSettings, times: int) -> None:
    """Say which settings were given."""
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
    ],
)
def test_the_exit_code_tells_the_outcome(
    error: CommandError | None,
    code: int,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """0 done, 1 something wrong was found, 2 wrong settings, 75 a service is away; each fault on a line of its own."""
    assert run(ending(error), monkeypatch) == code
    assert capsys.readouterr().err == text


@pytest.mark.parametrize("arguments", [["--unknown"], ["--times", "often"], ["surplus"]])
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
    assert "--api-port VALUE Port to listen on. [env: API_PORT; default: 80]" in text
    assert "--api-token VALUE Token of admins. [env: API_TOKEN]" in text
    assert "--log-format VALUE" in text
    assert "--times INTEGER How often." in text


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
