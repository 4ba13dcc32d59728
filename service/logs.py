"""Logs: one structured line for each thing that happened, for people or as JSON, on standard error."""

import logging
import os
import sys
from typing import Literal

import structlog

from service.console_line import console_line


def configure_logs(log_format: Literal["console", "json"]) -> None:
    """Send the lines of this process, and of the libraries it uses, through one format.

    Either format escapes what it is given, so that text from outside cannot forge a line. On a terminal the gravest
    lines are coloured, unless NO_COLOR is set (no-color.org).
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.stdlib.add_logger_name,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    has_colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else lambda _logger, _method, event: console_line(event, has_colours=has_colours)
    )
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer], foreign_pre_chain=shared
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[output], force=True)
    for library in ("aiokafka", "httpx"):  # httpx would tell every request, with its query
        logging.getLogger(library).setLevel(logging.WARNING)
