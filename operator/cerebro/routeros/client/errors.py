"""What can go wrong with a router, as exceptions that a caller can act on.

Texts of the router are quoted in printable form and cut; a password is never
part of a message.
"""

import re
from collections.abc import Sequence
from enum import StrEnum

_MAX_TEXT = 300
_CODE_AT_END = re.compile(r" \(\d+\)$")


def printable(text: str) -> str:
    """Text of a router for a message: bytes that are no UTF-8 and control
    characters escaped, 300 at most.
    """
    safe = text.encode("utf-8", "backslashreplace").decode("utf-8")
    safe = "".join(
        char if char.isprintable() else ascii(char)[1:-1] for char in safe
    )

    return safe if len(safe) <= _MAX_TEXT else safe[: _MAX_TEXT - 1] + "…"


class RouterError(Exception):
    """Base of everything here. `outcome_unknown`: the command may have run
    although no answer came.
    """

    outcome_unknown = False


class Unreachable(RouterError):
    """No connection could be made. `reason` is one word for a condition, such
    as `ConnectionRefused`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class LoginRefused(RouterError):
    """The router answered and said no. `wrong_password`: it named the user or
    the password as the cause.
    """

    def __init__(self, message: str, *, wrong_password: bool) -> None:
        super().__init__(message)
        self.wrong_password = wrong_password


class SecretError(RouterError):
    """A Secret is not what it must be; the message names it and the fix."""


class ConnectionLost(RouterError):
    """The connection ended: reset, closed, `!fatal`, silence, or bytes that
    make no sense.
    """

    def __init__(self, message: str, *, outcome_unknown: bool = False) -> None:
        super().__init__(message)
        self.outcome_unknown = outcome_unknown


class DeadlineExceeded(RouterError):
    """The command was not answered in its time; a write may have run."""

    outcome_unknown = True


class Stalled(RouterError):
    """The caller's patience ended without a byte from the router; the command
    may have run, or still run.
    """

    outcome_unknown = True


class TrapKind(StrEnum):
    """What a `!trap` means to a client, judged by its text first (texts differ
    between versions).
    """

    EXISTS = "exists"
    GONE = "gone"
    NO_COMMAND = "no_command"
    NOT_PERMITTED = "not_permitted"
    UNKNOWN_PARAMETER = "unknown_parameter"
    BAD_LOGIN = "bad_login"
    DEVICE_MODE = "device_mode"
    DISK_FULL = "disk_full"
    LICENSE = "license"
    OTHER = "other"


_BY_START = {
    "no such item": TrapKind.GONE,
    "no such command": TrapKind.NO_COMMAND,
    "not enough permissions": TrapKind.NOT_PERMITTED,
    "unknown parameter": TrapKind.UNKNOWN_PARAMETER,
    "invalid user name or password": TrapKind.BAD_LOGIN,
    "cannot log in": TrapKind.BAD_LOGIN,
    "not allowed by device-mode": TrapKind.DEVICE_MODE,
    "session limit reached": TrapKind.LICENSE,
}

_DISK_FULL = re.compile(
    r"(?:no|not enough|insufficient|out of) (?:free )?(?:disk|flash|storage|space)|"
    r"(?:disk|flash|storage) (?:is )?full"
)
"""A router's words for a disk without space; they are not documented, and
differ between versions.
"""


def classify(message: str) -> TrapKind:
    """The kind of a trap's text. Case, a leading `failure: ` and a trailing `
    (6)` vary between versions.
    """
    text = _CODE_AT_END.sub(
        "", message.strip().lower().removeprefix("failure: ")
    )
    for start, kind in _BY_START.items():
        if text.startswith(start):
            return kind

    if _DISK_FULL.search(text):
        return TrapKind.DISK_FULL

    return TrapKind.EXISTS if "already" in text else TrapKind.OTHER


class Trap(RouterError):
    """The router refused one command; the connection stays usable.

    `message` is the first text as the router sent it, `messages` all of them
    (an unknown path gives two), `category` the first category given, `kind`
    that of the first text that is understood.
    """

    def __init__(
        self,
        command: str,
        messages: Sequence[str],
        category: int | None = None,
    ) -> None:
        self.command = command
        self.messages = tuple(messages) or ("",)
        self.message = self.messages[0]
        self.category = category
        kinds = [
            kind
            for kind in map(classify, self.messages)
            if kind is not TrapKind.OTHER
        ]

        self.kind = kinds[0] if kinds else TrapKind.OTHER
        text = "; ".join(
            printable(message) for message in self.messages if message
        )

        super().__init__(f"{command}: {text or 'refused without a message'}")
