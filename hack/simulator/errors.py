"""What a router answers instead of a result: traps (the command failed),
fatals (the session ends).
"""

from __future__ import annotations

MISSING = 0
BAD_VALUE = 1
INTERRUPTED = 2


class Trap(Exception):
    """One `!trap` sentence; `more` holds further ones for the rare commands
    that give several.
    """

    def __init__(
        self,
        message: str,
        category: int | None = None,
        more: tuple[Trap, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.category = category
        self.more = more


class Fatal(Exception):
    """A `!fatal` sentence with its bare word; the connection is closed behind
    it.
    """


def no_such_item(*, old: bool = False) -> Trap:
    """Return the trap of an id that is gone; `old` gives the spelling of older
    versions.
    """
    return Trap("no such item (4)" if old else "no such item", MISSING)


def unknown_parameter(name: str) -> Trap:
    """Return the trap of an argument that does not exist in this menu or is
    read-only.
    """
    return Trap(f"unknown parameter {name}")


def missing(name: str) -> Trap:
    """Return the trap of a mandatory argument that was not sent."""
    return Trap(f"missing ={name}=")


def no_match(name: str) -> Trap:
    """Return the trap of a wrong enumeration word, or of a reference to
    nothing.
    """
    return Trap(f"input does not match any value of {name}", BAD_VALUE)


def not_permitted() -> Trap:
    """Return the trap of a user whose group lacks the policy."""
    return Trap("not enough permissions (9)")
