"""Characters of a script: blanks, comments, words, escapes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simulator.script.values import ScriptError

_LETTERS = {
    '"': '"',
    "\\": "\\",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "$": "$",
    "?": "?",
    "_": " ",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
}
_BLANKS = re.compile(r"(?:[ \t]|\\\r?\n)+")
_JOINED = re.compile(r"\\\r?\n")
_HEX = re.compile(r"[0-9A-F]{2}")
_END = ";\r\n])}"
MAX_DEPTH = 60
"""How deep blocks, parentheses and brackets may nest here."""


class ScriptSyntaxError(ScriptError):
    """A script that is not run at all."""


@dataclass
class Reader:
    """A place in a script."""

    text: str
    at: int = 0
    depth: int = 0
    _counted: tuple[int, int] = (0, 1)

    def error(self, problem: str) -> ScriptSyntaxError:
        """Return the refusal of the script, for this place."""
        before = self.text[: self.at]
        column = self.at - (before.rfind("\n") + 1) + 1
        return ScriptSyntaxError(
            f"{problem} (line {self.line} column {column})"
        )

    @property
    def line(self) -> int:
        """The number of the line, from 1."""
        at, number = self._counted
        if self.at < at:
            at, number = 0, 1
        number += self.text.count("\n", at, self.at)
        self._counted = (self.at, number)
        return number

    def deeper(self) -> None:
        """Note a block, a parenthesis or a bracket that opens. Raises
        ScriptSyntaxError for too many.
        """
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error("too deep")

    def peek(self) -> str:
        """Return the next character, nothing at the end."""
        return self.text[self.at : self.at + 1]

    def starts(self, text: str) -> bool:
        """Return whether this text comes next."""
        return self.text.startswith(text, self.at)

    def take(self, text: str) -> bool:
        """Pass over a text; return whether it was there."""
        if self.starts(text):
            self.at += len(text)
            return True
        return False

    def need(self, text: str) -> None:
        """Pass over a text. Raises ScriptSyntaxError where it is not."""
        if not self.take(text):
            raise self.error(f"syntax error: expected {text}")

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Pass over what a pattern matches here."""
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
        return match

    def skip_blanks(self) -> bool:
        """Pass over blanks and joined lines; return whether there were any."""
        return self.match(_BLANKS) is not None

    def skip_between_commands(self) -> None:
        """Pass over blanks, ends of commands and comments."""
        while True:
            self.skip_blanks()
            if self.peek() == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            elif self.peek() and self.peek() in ";\r\n":
                self.at += 1
            else:
                return

    def at_end(self) -> bool:
        """Return whether the command ends here."""
        return self.peek() == "" or self.peek() in _END

    def escape(self) -> str:
        """Return what a backslash in a string stands for."""
        joined = self.match(_JOINED)
        if joined is not None:
            while self.peek() in (" ", "\t"):
                self.at += 1
            return ""
        self.need("\\")
        code = self.match(_HEX)
        if code is not None:
            return bytes([int(code[0], 16)]).decode(errors="surrogateescape")
        letter = _LETTERS.get(self.peek())
        if letter is None:
            raise self.error("syntax error: unknown escape")
        self.at += 1
        return letter

    def raw_block(self) -> str:
        """Return the text between braces, which is not read as commands."""
        self.need("{")
        start, level, quoted = self.at, 1, False
        while level:
            char = self.peek()
            if not char:
                raise self.error("expected }")
            if char == "\\":
                self.at += 1
            elif char == '"':
                quoted = not quoted
            elif not quoted:
                level += {"{": 1, "}": -1}.get(char, 0)
            self.at += 1
        return self.text[start : self.at - 1]
