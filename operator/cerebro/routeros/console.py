"""Writes RouterOS console commands: strings that cannot be left, and entries
that are made once.

What is a name, an address or a key of somebody else's always passes `quote`.
Pure; knows no menu.
"""

from __future__ import annotations

from collections.abc import Mapping

_NAMED = {'"': '\\"', "\\": "\\\\", "$": "\\$"}


def quote(text: str) -> str:
    r"""Give a text as a string of RouterOS' script language that has exactly its UTF-8 bytes.

    `"`, `\` and `$` get a backslash; control characters, everything outside of ASCII and `?`, which asks older
    consoles for help, become `\XX` in upper-case hexadecimal (MikroTik's manual, "Constant Escape Sequences").
    """
    return f'"{"".join(_escaped(byte) for byte in text.encode("utf-8", "surrogatepass"))}"'


def _escaped(byte: int) -> str:
    character = chr(byte)
    if character in _NAMED:
        return _NAMED[character]

    return (
        character
        if 0x20 <= byte < 0x7F and character != "?"
        else f"\\{byte:02X}"
    )


def arguments(values: Mapping[str, str]) -> str:
    """Give `name=value` pairs; the values are in the script's own form already
    (see `quote`).
    """
    return " ".join(f"{name}={value}" for name, value in values.items())


def found(menu: str, where: Mapping[str, str]) -> str:
    """Give the expression for the ids of a menu's entries that have all these
    values.
    """
    return f"[{menu}/find where {arguments(where)}]"


def ensure(
    menu: str, where: Mapping[str, str], values: Mapping[str, str]
) -> str:
    """Give the command that makes an entry, or brings the one that is there to
    these values.
    """
    ids = found(menu, where)
    words = arguments(values)

    return f":if ([:len {ids}] = 0) do={{{menu}/add {words}}} else={{{menu}/set {ids} {words}}}"


def when(condition: str, then: str, otherwise: str = "") -> str:
    """Give the command that does one thing or, where it is given, the other."""
    return f":if ({condition}) do={{{then}}}" + (
        f" else={{{otherwise}}}" if otherwise else ""
    )


def say(text: str) -> str:
    """Give the command that prints a text."""
    return f":put {quote(text)}"
