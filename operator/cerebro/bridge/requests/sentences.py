"""Reads sentences for a router, as callers of every age write them, into API
words. Pure.

A sentence is a list of API words, or one string: a line as on the router's
console. Of the console's language only what has a meaning in the API is taken
(F10).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cerebro.bridge.errors import ApiError, invalid

Words = tuple[str, ...]
"""A sentence: command, attributes, queries."""

MAX_SENTENCES, MAX_WORDS, MAX_WORD = 64, 64, 4096
"""Bounds of a DeviceCommand."""

_VERBS = frozenset(
    {
        "add",
        "cancel",
        "comment",
        "disable",
        "enable",
        "find",
        "get",
        "getall",
        "listen",
        "login",
        "monitor",
        "move",
        "ping",
        "print",
        "quit",
        "reboot",
        "remove",
        "reset-counters",
        "run",
        "set",
        "shutdown",
        "unset",
    }
)
"""After these words of a line no further words of the path come."""
_FLAGS = frozenset({"count-only", "detail", "stats", "terse"})
"""Words of `print` on the console that are arguments of the API."""
_FORMATTING = frozenset({"brief", "value-list", "without-paging"})
"""Words of `print` that only change how the console shows rows."""

_ASSIGNMENT = re.compile(r"([A-Za-z.][A-Za-z0-9._-]*)=(.*)", re.DOTALL)
_PATH = re.compile(r"/?[a-z0-9-]+(?:/[a-z0-9-]+)*/?|/")
_SCRIPT = frozenset("[]{}();$`")
"""Characters of the script language, which the API does not have."""


@dataclass(frozen=True, slots=True)
class _Token:
    """A part of a line between blanks."""

    text: str
    """Without quotes."""

    raw: str
    """As it was written, for an error."""


def read_sentences(value: object, name: str) -> list[Words]:
    """Return the sentences of a field: a string, a list of strings, or a list
    of lists of API words.

    In a list a string that begins with `=` or `?` belongs to the sentence
    before it; what is blank or no text is dropped. Raises ApiError 400.
    """

    if isinstance(value, str):
        value = [value]

    if not isinstance(value, list):
        raise invalid(f"{name} must be a list of sentences, or one sentence")

    sentences: list[Words] = []

    for item in value:
        if isinstance(item, list):
            sentences.append(_listed(item, name))
            continue

        if not isinstance(item, str) or not item.strip():
            continue

        if sentences and item.lstrip()[0] in "=?":
            sentences[-1] = (*sentences[-1], item.strip())
        else:
            sentences.append(read_line(item))

    if not sentences:
        raise invalid(f"{name} required: at least one sentence")

    for words in sentences:
        _check_bounds(words, name)

    if len(sentences) > MAX_SENTENCES:
        raise invalid(f"{name} must have at most {MAX_SENTENCES} sentences")

    return sentences


def read_line(line: str) -> Words:
    """Return the API words of a line such as `/ip arp print where
    address=10.5.50.10`.

    Raises ApiError 400 `unsupported_syntax` that names the word.
    """
    tokens = _split(line)
    path, rest = _read_path(tokens)

    words = [path]
    querying = False

    for token in rest:
        if token.text == "where" and not querying:
            querying = True
            continue

        words.extend(_read_argument(token, querying=querying))

    return tuple(words)


def _read_path(tokens: Sequence[_Token]) -> tuple[str, Sequence[_Token]]:
    """Return the command with its path, and the tokens after it."""

    if not tokens or not tokens[0].text.startswith("/"):
        raise _unsupported(
            tokens[0].raw if tokens else "",
            "a sentence begins with a path, such as /ip/arp/print",
        )

    parts: list[str] = []

    for number, token in enumerate(tokens):
        ends_path = bool(parts) and parts[-1] in _VERBS

        if ends_path or not _PATH.fullmatch(token.text):
            return _joined(parts, tokens[0]), tokens[number:]

        if token.text == "where":
            return _joined(parts, tokens[0]), tokens[number:]

        parts.extend(part for part in token.text.split("/") if part)

    return _joined(parts, tokens[0]), ()


def _joined(parts: Sequence[str], first: _Token) -> str:
    if not parts:
        raise _unsupported(first.raw, "it is no path")

    return "/" + "/".join(parts)


def _read_argument(token: _Token, *, querying: bool) -> list[str]:
    """Return the API words for a token behind the path."""
    text = token.text

    if text[:1] in ("=", "?"):
        return [text]

    assignment = _ASSIGNMENT.fullmatch(text)

    if assignment is not None:
        return [f"?{text}" if querying else f"={text}"]

    if querying:
        raise _unsupported(
            token.raw, "after where only name=value has a meaning here"
        )

    if text in _FLAGS:
        return [f"={text}="]

    if text in _FORMATTING:
        return []

    raise _unsupported(token.raw, "write name=value")


def _split(line: str) -> list[_Token]:
    """Split a line at blanks outside quotes. Raises ApiError 400."""
    tokens: list[_Token] = []
    text = raw = ""
    quoted = escaped = begun = False

    for char in line:
        if char.isspace() and not quoted:
            if begun:
                tokens.append(_Token(text, raw))

            text, raw, begun = "", "", False
            continue

        raw += char
        begun = True

        if escaped:
            text += char
            escaped = False
        elif char == "\\" and quoted:
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == "$" or (char in _SCRIPT and not quoted):
            raise _unsupported(raw, "scripts and expressions are not run")
        else:
            text += char

    if quoted or escaped:
        raise _unsupported(raw, "a quote is not closed")

    if begun:
        tokens.append(_Token(text, raw))

    return tokens


def _listed(words: Sequence[object], name: str) -> Words:
    """Return a sentence that is a list of API words already."""
    texts = [word for word in words if isinstance(word, str) and word]

    if not texts or len(texts) != len(words):
        raise invalid(f"{name}: a sentence must be a list of API words")

    if not texts[0].startswith("/"):
        raise _unsupported(
            texts[0], "a sentence begins with a path, such as /ip/arp/print"
        )

    return tuple(texts)


def _check_bounds(words: Words, name: str) -> None:
    if len(words) > MAX_WORDS or max(map(len, words)) > MAX_WORD:
        raise invalid(
            f"{name}: a sentence must have at most {MAX_WORDS} words of at most {MAX_WORD} characters"
        )


def _unsupported(word: str, why: str) -> ApiError:
    return ApiError(
        400, "unsupported_syntax", f"{word[:64]!r} cannot be run: {why}"
    )
