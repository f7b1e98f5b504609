"""Which API words a person or the bridge may have run on a Device (rule C1).
Pure.

Operations are built by the agent, see `operations`; the words of `Raw` come
from outside and are checked here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from cerebro.resources import reasons
from cerebro.routeros.client.command import Command
from cerebro.routeros.menus.sensitive import is_sensitive

Permission = Literal["Off", "Read", "All"]

_COMMAND_WORD = re.compile(r"(/[a-z0-9]+(?:-[a-z0-9]+)*)+")
"""A path with its verb; nothing that RouterOS could read in another way."""

_READABLE_MENUS = frozenset(
    {
        "/interface",
        "/interface/wireguard",
        "/interface/wireguard/peers",
        "/ip/address",
        "/ip/arp",
        "/ip/dhcp-server/lease",
        "/ip/hotspot",
        "/ip/route",
        "/system/clock",
        "/system/identity",
        "/system/resource",
    }
)
_READABLE_TREE = "/ip/hotspot/"
"""A menu that may be read with all menus below it."""

_PRINT_ARGUMENTS = frozenset({".proplist", "count-only"})

_REFUSED_COMMANDS = frozenset({"/login", "/quit", "/cancel"})
"""They concern the connection, which is the agent's."""
_REFUSED_VERBS = frozenset({"listen"})
"""They never end."""
_REFUSED_ARGUMENTS = frozenset(
    {
        "append",
        "file",
        "follow",
        "follow-only",
        "interval",
        "show-sensitive",
    }
)
"""They never end, write files on the router, or show passwords."""

_PLACEHOLDER = "$(secret:"
_QUERY_NAME = re.compile(r"\?(?:[-<>=]?)([^=]*)")


class Refused(Exception):
    """A command that is not run; the message says why, and what would be.

    `reason` is that of the conditions.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def read_sentence(words: Sequence[str], permission: Permission) -> Command:
    """Return a sentence of API words as the command that may be run.

    Words are the command with its path, attributes `=name=value`, and queries
    `?...`. A placeholder for a value of the command's Secret stays in its
    attribute. Raises Refused for everything else.
    """
    first, *rest = words

    if not _COMMAND_WORD.fullmatch(first):
        raise _not_allowed(
            f"{first!r} is no command: write its path with slashes, such as /ip/arp/print"
        )

    path, _, verb = first.rpartition("/")

    if first in _REFUSED_COMMANDS or verb in _REFUSED_VERBS:
        raise _not_allowed(f"{first} is never run")

    attributes: dict[str, str] = {}
    queries: list[str] = []

    for word in rest:
        if word.startswith("?"):
            queries.append(_query(word))
            continue

        name, value = _attribute(word)

        if name in attributes:
            raise _not_allowed(f"{name} is given twice")

        attributes[name] = value

    command = Command(path or "/", verb, attributes, tuple(queries))

    if permission != "All":
        _check_reading(command)

    return command


def _attribute(word: str) -> tuple[str, str]:
    """Return name and value of an attribute word. Raises Refused."""

    if not word.startswith("="):
        raise _not_allowed(
            f"{word!r} is no API word: write =name=value, or ?query"
        )

    name, _, value = word[1:].partition("=")

    if not name or _PLACEHOLDER in name:
        raise _not_allowed(f"{word!r} names no attribute: write =name=value")

    if name.removeprefix("!") in _REFUSED_ARGUMENTS:
        raise _not_allowed(f"the argument {name} is never sent")

    return name, value


def _query(word: str) -> str:
    """Return a query word. Raises Refused for one by which a sensitive value
    could be guessed.
    """

    if _PLACEHOLDER in word:
        raise _not_allowed("a query must not hold a value of a Secret")

    named = _QUERY_NAME.match(word)

    if named is not None and is_sensitive(named[1]):
        raise _not_allowed(f"queries by {named[1]} are never sent")

    return word


def _check_reading(command: Command) -> None:
    """Raise Refused unless a command only reads what `commands: Read` allows."""
    menu = command.path
    readable = menu in _READABLE_MENUS or menu.startswith(_READABLE_TREE)

    if command.verb != "print" or not readable:
        raise _not_allowed(
            f"{command.word} is not among what may be read: set spec.commands of the Device to All, "
            "or use an operation"
        )

    for name in command.attributes:
        if name not in _PRINT_ARGUMENTS:
            raise _not_allowed(
                f"{command.word} takes only .proplist, count-only and queries here, not {name}"
            )


def _not_allowed(message: str) -> Refused:
    return Refused(reasons.NOT_ALLOWED, message)
