"""Command lines: help that begins with a command's own options, and exit codes that tell the truth."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from operator_status.settings import CHOICES, DESCRIPTIONS, SPOOL_VARIABLE, KafkaSettings

Command = Callable[..., Any]

HELP_COLUMNS: Final = 100
LONGEST_SECONDS: Final = 3600
UP_TO_AN_HOUR: Final = click.FloatRange(0, LONGEST_SECONDS, min_open=True)
SUMMARY_CHARACTERS: Final = 500  # no summary is so long, so none is cut
HELP: Final[dict[str, Any]] = {"help_option_names": ["-h", "--help"], "max_content_width": HELP_COLUMNS}


class SettingOption(click.Option):
    """An option that stands for a setting, and is explained behind the command's own options."""


class Summary(click.Command):
    """A command whose summary is never cut."""

    def get_short_help_str(self, limit: int = 0) -> str:
        """Return the first sentence of the help, whole."""
        return super().get_short_help_str(max(limit, SUMMARY_CHARACTERS))


class SettingsCommand(Summary):
    """A command whose help has its own options first, and the settings in a section below."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the two sections."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        shown = [(option, option.get_help_record(ctx)) for option in options]
        own = [record for option, record in shown if record and not isinstance(option, SettingOption)]
        settings = [record for option, record in shown if record and isinstance(option, SettingOption)]
        for title, records in (("Options", own), ("Settings", settings)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class Group(Summary, click.Group):
    """A group of such commands."""

    command_class = SettingsCommand
    group_class = type


def kafka_options(command: Command) -> Command:
    """Give a command an option for each setting of Kafka; it receives them, by name, as `kafka`.

    An option overrides the environment variable of the same name; `loaded` makes settings of both.
    """

    def call(**arguments: Any) -> Any:
        return command(kafka={name: arguments.pop(name) for name in DESCRIPTIONS}, **arguments)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__dict__.update(command.__dict__)  # the options given to the command itself
    decorated: Command = call
    for setting in reversed(fields(KafkaSettings)):
        decorated = _option(setting.name, setting.default)(decorated)
    return decorated


def spool_option(text: str) -> Callable[[Command], Command]:
    """Return the option that names the folder of the spool."""
    return click.option(
        "--spool", "spool_directory", metavar="FOLDER", envvar=SPOOL_VARIABLE, show_envvar=True, help=text
    )


def seconds_option(
    name: str, default: float | None, text: str, span: click.FloatRange = UP_TO_AN_HOUR, **others: Any
) -> Callable[[Command], Command]:
    """Return an option for a span of time, which the command receives as `<name>_seconds`."""
    return click.option(
        f"--{name}",
        f"{name}_seconds",
        type=span,
        default=default,
        show_default=True,
        metavar="SECONDS",
        help=text,
        **others,
    )


def completing(choices: Sequence[str]) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return what completes a value in a shell."""

    def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(choice) for choice in choices if choice.startswith(incomplete)]

    return complete


def loaded(kafka: dict[str, str | None]) -> KafkaSettings:
    """Return the settings of the environment and the options; SettingsError tells all faults at once."""
    return KafkaSettings.load(os.environ, kafka)


def drop_output() -> None:
    """Send what is left for standard output nowhere, so that Python does not fail at it once more at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def say(sentence: str) -> None:
    """Print it; that nobody could read it does not make less true what it tells."""
    try:
        click.echo(sentence)
    except OSError as error:
        drop_output()
        click.echo(f"{sentence}; standard output could not be written: {error.strerror}", err=True)


def _option(name: str, default: object) -> Callable[[Command], Command]:
    choices = CHOICES.get(name, ())
    text = f"{DESCRIPTIONS[name]}  [env: {name.upper()}" + (f"; default: {default}]" if default else "]")
    # No click.Choice: the settings check what is given, and tell it together with the other faults.
    return click.option(
        "--" + name.replace("_", "-"),
        name,
        cls=SettingOption,
        help=text,
        metavar="|".join(choices) or "VALUE",
        shell_complete=completing(choices),
    )
