"""Regular expressions of `~`: POSIX, extended, without what the manual takes
out of it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from simulator.script.values import ScriptError

_CLASSES = {
    "alpha": "A-Za-z",
    "digit": "0-9",
    "alnum": "A-Za-z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "blank": r" \t",
    "xdigit": "0-9A-Fa-f",
    "punct": r"!-/:-@\[-`{-~",
}
_CLASS = re.compile(r"\[:([a-z]+):\]")


@lru_cache(maxsize=256)
def compile_pattern(text: str) -> re.Pattern[str]:
    """Return an expression of Python that matches the same. Raises ScriptError
    for what is no POSIX expression, or is not supported.
    """
    parts: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "[":
            part, at = _bracket(text, at)
            parts.append(part)
            continue
        if char == "\\":
            at += 1
            if at >= len(text) or text[at].isalnum():
                raise _bad(text)
            char = "\\" + text[at]
        elif _is_unsupported(text, at) or (char in "*+?" and not parts):
            raise _bad(text)
        parts.append(char)
        at += 1
    try:
        # `$` is the end of the text alone; `.` is every character.
        whole = "".join(r"\Z" if part == "$" else part for part in parts)
        return re.compile(whole, re.DOTALL)
    except re.error:
        raise _bad(text) from None


def _is_unsupported(text: str, at: int) -> bool:
    """Return whether bounds, empty groups, or a repetition of a repetition
    begin here.
    """
    doubled = at > 0 and text[at] in "*+?" and text[at - 1] in "*+?"
    escaped = at > 1 and text[at - 2] == "\\"
    return (
        text[at] in "{}"
        or text.startswith(("()", "(?"), at)
        or (doubled and not escaped)
    )


def _bad(text: str) -> ScriptError:
    return ScriptError(f"bad regexp {text}")


def _bracket(text: str, at: int) -> tuple[str, int]:
    """Return the expression of a bracket that begins at `at`, and where it is
    over.
    """
    start = at
    at += 1
    result = "["
    if text.startswith("^", at):
        result += "^"
        at += 1
    first = True
    while at < len(text) and (first or text[at] != "]"):
        match = _CLASS.match(text, at)
        if match is not None:
            if match[1] not in _CLASSES:
                raise _bad(text)
            result += _CLASSES[match[1]]
            at = match.end()
        elif text.startswith(("[.", "[="), at):
            raise _bad(text)
        else:
            result += _escaped(text[at])
            at += 1
        first = False
    if at >= len(text) or at == start + 1:
        raise _bad(text)
    return result + "]", at + 1


def _escaped(char: str) -> str:
    # A backslash in a bracket is a character like another.
    return "\\" + char if char in "\\[]^&~|" else char
