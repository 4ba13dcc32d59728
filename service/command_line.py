"""Command lines: an option for each setting, help that begins with a command's own options, and exit codes."""

import asyncio
import errno
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final, Literal, NoReturn, TypeVar, Union, get_args, get_origin

import click
import structlog
from pydantic_core import PydanticUndefined

from operator_status.commands.help import HELP, Command, Group, SettingOption, SettingsCommand, completing, drop_output
from service.errors import CommandError, SettingsError, StoppedError
from service.logs import configure_logs
from service.settings import Settings, is_service_link
from service.version import __version__

__all__ = [
    "Command",
    "Group",
    "SettingOption",
    "SettingsCommand",
    "drop_output",
    "json_option",
    "run_async",
    "run_command",
    "settings_options",
    "version_option",
]

S = TypeVar("S", bound=Settings)
Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., Any])

_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_METAVARS: Final = {int: "INTEGER", float: "NUMBER", bool: "true|false"}


@dataclass
class _Speech:
    """How an error is told at the end: for people, or as a line of the log."""

    log_format: Literal["console", "json"]


def settings_options(settings: type[S]) -> Callable[[Command], Command]:
    """Give a command an option for each setting; the command receives the loaded settings first.

    An option overrides the environment variable of the same name. Faults are told all together, with exit code 2.
    """

    def decorate(command: Command) -> Command:
        def call(**arguments: Any) -> Any:
            overrides = {name: arguments.pop(name) for name in settings.model_fields}
            speech = click.get_current_context().find_object(_Speech)
            if speech and overrides["log_format"]:
                speech.log_format = overrides["log_format"]
            loaded = settings.load(os.environ, overrides)
            _tell_passed_over(loaded)
            return command(loaded, **arguments)

        call.__name__ = command.__name__
        call.__doc__ = command.__doc__
        call.__dict__.update(command.__dict__)  # the options given to the command itself
        decorated: Command = call
        for name in reversed(settings.model_fields):
            decorated = _option(settings, name)(decorated)
        return decorated

    return decorate


def version_option(command: Function) -> Function:
    """Give a command line the option --version."""
    return click.version_option(__version__, message="operator-status %(version)s")(command)


def json_option(command: Function) -> Function:
    """Give a command the option --json, which it receives as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line, for programs.")(command)


def run_command(command: click.Command, name: str | None = None) -> NoReturn:
    """Run a command line and end the process with the exit code of its outcome: 0, 1, 2, 75, or 130 after Ctrl-C.

    The last words are lines of the log when the log is JSON.
    """
    speech = _Speech("json" if os.environ.get("LOG_FORMAT") == "json" else "console")
    try:
        ended = command.main(prog_name=name, standalone_mode=False, obj=speech, **HELP)
    except CommandError as error:
        _tell(speech, error)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        if speech.log_format == "json":
            _log(error.format_message(), error.exit_code)
        else:
            error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        drop_output()
        _tell(speech, CommandError(f"what was to be said or kept cannot be written: {error.strerror}"))
        sys.exit(CommandError.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(StoppedError.exit_code)
    sys.exit(ended if isinstance(ended, int) else 0)  # an int: of --help, --version and the like


def run_async(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end on the fastest event loop there is, and return its result."""
    try:
        import uvloop  # noqa: PLC0415 - not installed with a worker, and not on Windows
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


def _tell(speech: _Speech, error: CommandError) -> None:
    prefix = "settings: " if isinstance(error, SettingsError) else "error: "
    for line in str(error).splitlines():
        if speech.log_format == "json":
            _log(line, error.exit_code)
        else:
            click.echo(prefix + line, err=True)


def _tell_passed_over(settings: Settings) -> None:
    names = [name.upper() for name in type(settings).model_fields]
    links = [name for name in names if is_service_link(name, os.environ.get(name))]
    if links:
        configure_logs(settings.log_format)
        structlog.get_logger(__name__).warning("passed over what Kubernetes sets for a service", variables=links)


def _log(sentence: str, exit_code: int) -> None:
    configure_logs("json")
    structlog.get_logger(__name__).error(sentence, exit_code=exit_code)


def _option(settings: type[Settings], name: str) -> Callable[[Command], Command]:
    field = settings.model_fields[name]
    text = f"{field.description}  [env: {name.upper()}"
    if field.default not in {PydanticUndefined, None}:
        text += f"; default: {_shown(field.default)}"
    choices = _choices(field.annotation)
    # No click.Choice: the settings check what is given, and tell it together with the other faults.
    return click.option(
        "--" + name.replace("_", "-"),
        name,
        cls=SettingOption,
        help=text + "]",
        metavar="|".join(choices) or _metavar(field.annotation),
        shell_complete=completing(choices),
    )


def _choices(annotation: Any) -> tuple[str, ...]:
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _metavar(annotation: Any) -> str:
    if get_origin(annotation) in {Union, UnionType}:
        annotation = get_args(annotation)[0]
    return _METAVARS.get(annotation, "VALUE")


def _shown(default: object) -> object:
    if isinstance(default, bool):
        return str(default).lower()
    reveal = getattr(default, "get_secret_value", None)
    return reveal() if reveal else default
