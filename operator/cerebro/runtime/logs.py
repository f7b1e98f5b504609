"""Logging: one JSON object a line on standard error (or lines for people), for
our loggers and those of the libraries.

A line has `time`, `level`, `logger` and `message`; then what it is about, as
far as that is known: `hub`, `device`, `session` or `command` as
namespace/name, and `traceId`, the trace of the request that asked for it.

Every value whose key names a secret is masked. librouteros logs every word it
sends at DEBUG, passwords too, so it never gets there, whatever the level.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "***"
_SECRET_KEY = re.compile(
    r"(?i)passw|token|secret|signature|authorization|private_?key|preshared|cookie|credential"
)
_DEPTH = 5
"""Levels of mappings and lists in a value that are looked through for secrets.
"""
_AT_LEAST = {
    "librouteros": logging.INFO,  # DEBUG has passwords
    "kopf": logging.INFO,
    "kopf.objects": logging.WARNING,  # else a line for each delivery
    "asyncio": logging.INFO,
    "aiohttp.access": logging.WARNING,
    "uvicorn.access": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.INFO,  # DEBUG has headers
    "hpack": logging.INFO,
}


def configure(
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO",
    style: Literal["json", "console"] = "json",
    *,
    stream: TextIO | None = None,
) -> None:
    """Set up logging of the whole process; call it once, before anything logs.

    Writes to `stream`, by default standard error: JSON for machines, one
    object a line, or text for people. Handlers that were set before, ours or a
    library's, are replaced.
    """

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        mask_secrets,
    ]

    rendered: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta
    ]

    if style == "json":
        rendered += [
            structlog.processors.format_exc_info,
            _with_wire_names,
            structlog.processors.JSONRenderer(default=str),
        ]
    else:
        rendered += [
            structlog.dev.ConsoleRenderer(
                colors=False, exception_formatter=structlog.dev.plain_traceback
            )
        ]

    # What we log by structlog and what libraries log by logging go through the
    # same formatter.
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )

    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=rendered
        )
    )

    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)

    # Libraries that bring handlers of their own would write beside ours.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "kopf"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True

    for name, least in _AT_LEAST.items():
        logging.getLogger(name).setLevel(
            max(least, logging.getLevelName(level))
        )


def mask_secrets(
    _logger: WrappedLogger, _method: str, event: EventDict
) -> EventDict:
    """Return an event with the values masked whose key names a secret, also
    within mappings and lists.
    """
    return {key: _masked(key, value, _DEPTH) for key, value in event.items()}


def _with_wire_names(
    _logger: WrappedLogger, _method: str, event: EventDict
) -> EventDict:
    """Return a line as it is written in JSON: what each line has comes first,
    and fields without a value are left out.
    """
    line = {
        "time": event.pop("timestamp"),
        "level": event.pop("level"),
        "logger": event.pop("logger"),
        "message": event.pop("event"),
    }

    for key, value in event.items():
        if value is not None:
            # What a caller named like one of these does not take its place.
            line[key if key not in line else f"{key}_"] = value

    return line


def _masked(key: str, value: Any, depth: int) -> Any:
    names_secret = isinstance(key, str) and _SECRET_KEY.search(key)
    if names_secret and value is not None:
        return MASK

    if depth and isinstance(value, Mapping):
        return {
            name: _masked(name, item, depth - 1)
            for name, item in value.items()
        }

    if depth and isinstance(value, list | tuple):
        return [_masked("", item, depth - 1) for item in value]

    return value
