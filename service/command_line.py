"""Command lines: an option for each setting, and exit codes that mean something."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click
from pydantic_core import PydanticUndefined

from service.errors import CommandError, SettingsError
from service.settings import Settings

S = TypeVar("S", bound=Settings)
Command = Callable[..., Any]


def settings_options(settings: type[S]) -> Callable[[Command], Command]:
    """Give a command an option for each setting; the command receives the loaded settings first.

    An option overrides the environment variable of the same name. Faults are told all together, with exit code 2.
    """

    def decorate(command: Command) -> Command:
        def call(**arguments: Any) -> Any:
            overrides = {name: arguments.pop(name) for name in settings.model_fields}
            return command(settings.load(os.environ, overrides), **arguments)

        call.__name__ = command.__name__
        call.__doc__ = command.__doc__
        call.__dict__.update(command.__dict__)  # the options given to the command itself
        decorated: Command = call
        for name in reversed(settings.model_fields):
            decorated = _option(settings, name)(decorated)
        return decorated

    return decorate


def run_command(command: click.Command, name: str) -> None:
    """Run a command line and end the process with the exit code of its outcome: 0, 1, 2 or 75."""
    try:
        command.main(prog_name=name, standalone_mode=True)
    except CommandError as error:
        prefix = "settings: " if isinstance(error, SettingsError) else "error: "
        for line in str(error).splitlines():
            click.echo(prefix + line, err=True)
        sys.exit(error.exit_code)


def run_async(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end on the fastest event loop there is."""
    try:
        import uvloop  # noqa: PLC0415 - not installed with a worker, and not on Windows
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


def _option(settings: type[Settings], name: str) -> Callable[[Command], Command]:
    field = settings.model_fields[name]
    text = f"{field.description}  [env: {name.upper()}"
    if field.default not in {PydanticUndefined, None}:
        text += f"; default: {_shown(field.default)}"
    return click.option("--" + name.replace("_", "-"), name, help=text + "]", metavar="VALUE")


def _shown(default: object) -> object:
    reveal = getattr(default, "get_secret_value", None)
    return reveal() if reveal else default
