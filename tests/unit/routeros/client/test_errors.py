"""What the texts of routers mean. Pure; the texts are RouterOS' own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebro.routeros.client.errors import (
    ConnectionLost,
    DeadlineExceeded,
    RouterError,
    Stalled,
    Trap,
    TrapKind,
    classify,
    printable,
)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("failure: already have such entry", TrapKind.EXISTS),
        ("failure: such client already exists", TrapKind.EXISTS),
        ("failure: user with the same name already exisits", TrapKind.EXISTS),
        ("failure: already have peer", TrapKind.EXISTS),
        ("no such item", TrapKind.GONE),
        ("no such item (4)", TrapKind.GONE),
        ("No Such Item (4)", TrapKind.GONE),
        ("no such command", TrapKind.NO_COMMAND),
        ("no such command prefix", TrapKind.NO_COMMAND),
        ("no such command or directory (already)", TrapKind.NO_COMMAND),
        ("not enough permissions (9)", TrapKind.NOT_PERMITTED),
        ("unknown parameter", TrapKind.UNKNOWN_PARAMETER),
        ("unknown parameter place-before", TrapKind.UNKNOWN_PARAMETER),
        ("invalid user name or password (6)", TrapKind.BAD_LOGIN),
        ("cannot log in", TrapKind.BAD_LOGIN),
        ("failure: not allowed by device-mode", TrapKind.DEVICE_MODE),
        ("session limit reached (1)", TrapKind.LICENSE),
        ("failure: not enough space", TrapKind.DISK_FULL),
        ("failure: disk full", TrapKind.DISK_FULL),
        ("failure: out of disk space", TrapKind.DISK_FULL),
        ("invalid space", TrapKind.OTHER),
        ("input does not match any value of server", TrapKind.OTHER),
        ("interrupted", TrapKind.OTHER),
        ("there is no such item", TrapKind.OTHER),
        ("", TrapKind.OTHER),
    ],
)
def test_texts_are_classified(message: str, kind: TrapKind) -> None:
    assert classify(message) is kind


def test_the_first_text_that_is_understood_counts() -> None:
    trap = Trap(
        "/x/add", ["something", "no such command prefix", "already"], 0
    )
    assert trap.kind is TrapKind.NO_COMMAND
    assert trap.message == "something"
    assert trap.category == 0
    assert str(trap) == "/x/add: something; no such command prefix; already"


def test_a_trap_without_a_text_still_says_something() -> None:
    assert str(Trap("/x/add", [])) == "/x/add: refused without a message"
    assert Trap("/x/add", []).message == ""


@given(st.text(st.characters(), max_size=400))
def test_any_text_becomes_printable_and_bounded(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) <= 300
    shown.encode("utf-8")


def test_printable_keeps_what_can_be_read() -> None:
    assert printable("Café é (x)") == "Café é (x)"
    assert printable("a\udce9\n") == "a\\udce9\\n"


@pytest.mark.parametrize(
    ("error", "unknown"),
    [
        (Trap("/x/add", ["no"]), False),
        (ConnectionLost("x"), False),
        (ConnectionLost("x", outcome_unknown=True), True),
        (DeadlineExceeded("x"), True),
        (Stalled("x"), True),
    ],
)
def test_whether_the_command_may_have_run(
    error: RouterError, unknown: bool
) -> None:
    assert error.outcome_unknown is unknown
