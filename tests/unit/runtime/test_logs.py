"""Logging: JSON for all loggers, and no secret in it."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from cerebro.runtime import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    made = io.StringIO()
    logs.configure("DEBUG", stream=made)
    yield made
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_library_loggers_come_out_as_json_too(stream: io.StringIO) -> None:
    logging.getLogger("kopf.activities").warning("from %s", "kopf")
    structlog.stdlib.get_logger("ours").info("granted", device="router-1")
    first, second = lines(stream)
    assert (first["message"], first["level"], first["logger"]) == (
        "from kopf",
        "warning",
        "kopf.activities",
    )
    assert (second["message"], second["device"]) == ("granted", "router-1")


def test_each_line_begins_with_the_same_fields_and_has_no_empty_one(
    stream: io.StringIO,
) -> None:
    with structlog.contextvars.bound_contextvars(device="ns/r1", hub=None):
        logging.getLogger("ours").warning("a", extra={"order": None})
        structlog.stdlib.get_logger("ours").info("b", level_="x", time="now")
    first, second = lines(stream)
    assert list(first) == ["time", "level", "logger", "message", "device"]
    assert first["time"] != "now"
    assert str(first["time"]).endswith("Z")
    assert (second["message"], second["time_"]) == ("b", "now")


def test_lines_for_people_have_the_same_facts(stream: io.StringIO) -> None:
    logs.configure("INFO", "console", stream=stream)
    structlog.stdlib.get_logger("ours").info("granted", device="ns/r1")
    (line,) = stream.getvalue().splitlines()
    assert "granted" in line
    assert "device=ns/r1" in line
    assert not line.startswith("{")


def test_secrets_are_masked_by_their_key_at_any_depth(
    stream: io.StringIO,
) -> None:
    structlog.stdlib.get_logger("ours").info(
        "call",
        password="p1",
        headers=[{"Authorization": "p2", "x-relay-signature": "p3"}],
        mac="AA",
    )
    logging.getLogger("lib").warning("call", extra={"api_token": "p4"})
    text = stream.getvalue()
    assert not [
        secret for secret in ("p1", "p2", "p3", "p4") if secret in text
    ]
    assert '"mac": "AA"' in text


def test_librouteros_never_logs_its_words(stream: io.StringIO) -> None:
    logging.getLogger("librouteros").debug("<--- =password=hush")
    logging.getLogger("librouteros.connections").debug("<--- =password=hush")
    assert stream.getvalue() == ""


def test_variables_of_a_traceback_are_not_told_in_either_form(
    stream: io.StringIO,
) -> None:
    for style in ("json", "console"):
        logs.configure("DEBUG", style, stream=stream)
        password = "hunter2" + style
        try:
            int("broken")
        except ValueError:
            structlog.stdlib.get_logger("ours").exception("failed")
        assert "ValueError" in stream.getvalue()
        assert password not in stream.getvalue()


def test_exceptions_are_told(stream: io.StringIO) -> None:
    try:
        int("broken")
    except ValueError:
        logging.getLogger("ours").exception("failed")
    assert "ValueError: invalid literal" in str(lines(stream)[0]["exception"])
