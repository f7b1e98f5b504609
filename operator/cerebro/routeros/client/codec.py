"""Sentences over a byte stream: librouteros' codec below, text, bounds and
metering of our own above.

Knows nothing of commands, tags or time. librouteros' own sentence functions
are not used: they log every word, passwords too, and stumble over empty
sentences and a bare `!fatal`.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from librouteros.exceptions import ProtocolError
from librouteros.protocol import AsyncApiProtocol, encode_sentence

_LOSSLESS = "latin-1"  # the one encoding in which librouteros loses no byte
_CHUNK = 1 << 16
_MAX_SENTENCE = (
    1 << 20
)  # bytes of one sentence; the largest rows of a router are some KiB
_MAX_WORDS = 4096
_MAX_BEFORE_LOGIN = (
    64 << 10
)  # bytes in all from a peer that has not accepted a login yet

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, for 0 seconds

# What went wrong with the stream itself, as it surfaces from `read_sentence`.
BROKEN = (OSError, EOFError, ProtocolError)

# librouteros' paths that log are not called; should one ever be, nothing of it
# comes out.
logging.getLogger("librouteros").addFilter(lambda _record: False)
logging.getLogger("librouteros").propagate = False


class Sentence(NamedTuple):
    """One sentence of a router; `tag` is empty without one, `bare` are the
    words that are no attribute.
    """

    reply: str
    tag: str
    attributes: dict[str, str]
    bare: list[str]


def parse(words: Sequence[str]) -> Sentence:
    """Sort the words of one sentence. Their order has no meaning; the tag may
    stand anywhere.
    """

    tag = ""
    attributes: dict[str, str] = {}
    bare: list[str] = []
    for word in words[1:]:
        if word[0] == "=":
            name, _, value = word[1:].partition("=")
            attributes[name] = value
        elif word.startswith(".tag="):
            tag = word[5:]
        else:
            bare.append(word)

    return Sentence(words[0], tag, attributes, bare)


def decode(word: str) -> str:
    """Text of a word that came as latin-1: UTF-8, other bytes as surrogates,
    so that nothing is lost.
    """
    return (
        word
        if word.isascii()
        else word.encode(_LOSSLESS).decode("utf-8", "surrogateescape")
    )


def encode(word: str) -> str:
    """The opposite of `decode`. Raises UnicodeEncodeError for a surrogate that
    stands for no byte.
    """
    return (
        word
        if word.isascii()
        else word.encode("utf-8", "surrogateescape").decode(_LOSSLESS)
    )


class Wire:
    """Both directions of one connection. `last_byte_at`: when the latest byte
    came, in the event loop's time.

    Writing never waits: sentences of one turn of the event loop leave
    together, so that a burst is a few packets, and the caller's window bounds
    what can pile up. One reader at a time.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._protocol = AsyncApiProtocol(transport=self, encoding=_LOSSLESS)
        self._unread = b""
        self._at = 0
        self._sentence = 0  # bytes of words of the sentence that is being read
        self._before_login: int | None = (
            _MAX_BEFORE_LOGIN  # bytes that may still come; None: logged in
        )

        self._unsent: list[bytes] = []
        self.last_byte_at = self._loop.time()

    def write(self, words: Sequence[str]) -> None:
        """Send one sentence. Raises ValueError when a word cannot be written;
        then nothing is sent.
        """
        data: bytes = encode_sentence(*map(encode, words), encoding=_LOSSLESS)

        if not self._unsent:
            self._loop.call_soon(self._flush)

        self._unsent.append(data)

    def _flush(self) -> None:
        data = b"".join(self._unsent)
        self._unsent.clear()

        if not self._writer.transport.is_closing():
            self._writer.write(data)

    async def read_sentence(self) -> list[str]:
        """The words of the next sentence that is not empty. Raises one of
        BROKEN when there will be none.
        """
        words: list[str] = []
        self._sentence = 0
        while True:
            word = await self._protocol.readWord()
            if word:
                words.append(decode(word))

                if len(words) > _MAX_WORDS:
                    raise ProtocolError(
                        f"a sentence of more than {_MAX_WORDS} words"
                    )
            elif words:
                return words

    async def read(self, length: int) -> bytes:
        """Exactly `length` bytes, for librouteros' codec. Raises ProtocolError
        for a sentence beyond its bound.
        """

        self._count(length)
        end = self._at + length
        if end <= len(self._unread):
            data = self._unread[self._at : end]
            self._at = end

            return data

        parts = [self._unread[self._at :]]
        missing = end - len(self._unread)
        while missing > 0:
            chunk = await self._reader.read(_CHUNK)
            if not chunk:
                raise EOFError("the router closed the connection")

            self.last_byte_at = self._loop.time()
            parts.append(chunk)
            missing -= len(chunk)

        self._unread = b"".join(parts)
        self._at = length

        return self._unread[:length]

    def logged_in(self) -> None:
        """Lift the bound on what a peer may send before it has accepted a
        login.
        """
        self._before_login = None

    def _count(self, length: int) -> None:
        """Count bytes that are about to be read, before they are waited for: a
        length alone costs the peer nothing.
        """

        self._sentence += length
        if self._sentence > _MAX_SENTENCE:
            raise ProtocolError(
                f"a sentence of more than {_MAX_SENTENCE} bytes"
            )

        if self._before_login is None:
            return

        self._before_login -= length
        if self._before_login < 0:
            raise ProtocolError(
                f"more than {_MAX_BEFORE_LOGIN} bytes before the login was accepted"
            )

    def bound_sending(self, seconds: float) -> None:
        """Have the kernel reset the connection when something that was sent
        is not acknowledged within `seconds`, also after this process has
        died; 0: the kernel goes on for as long as it does by itself.
        """
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # absent outside Linux
            self._set_option(
                socket.IPPROTO_TCP,
                socket.TCP_USER_TIMEOUT,
                round(seconds * 1000),
            )

    def abort(self, *, reset: bool = False) -> None:
        """Close at once, without waiting for anything; a reader meets the end
        of the stream.

        With `reset` nothing is sent any more: the kernel would try for
        minutes, and a write would arrive when nobody means it any more.
        Without, the kernel tells the peer of the end until it has heard: a
        reset is sent once, and one that is lost leaves the router a session.
        """
        if reset:
            self._set_option(
                socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE
            )

        self._writer.transport.abort()

    def _set_option(self, level: int, name: int, value: int | bytes) -> None:
        """Set an option of the socket, unless that is closed already."""
        sock = self._writer.get_extra_info("socket")

        if sock is not None:
            with suppress(OSError):
                sock.setsockopt(level, name, value)
