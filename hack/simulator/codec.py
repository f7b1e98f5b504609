"""Words and sentences of the binary API: length prefixes, encoding, an
incremental decoder.

Words are bytes on the wire and text inside the simulator; bytes that are not
UTF-8 pass through unchanged by the `surrogateescape` handler. Must not know
what a sentence means.
"""

from __future__ import annotations

from collections.abc import Iterable

_SHORT = [bytes((n,)) for n in range(0x80)]

MAX_WORD = 64 * 1024 * 1024
"""Largest word taken from a client, in bytes. The real limit is not published.
"""


class ProtocolError(Exception):
    """The stream cannot be followed any more: the connection has to be closed."""


def encode_length(length: int) -> bytes:
    """Return the shortest prefix for a word of `length` bytes."""
    if length < 0x80:
        return _SHORT[length]
    if length < 0x4000:
        return (length | 0x8000).to_bytes(2, "big")
    if length < 0x200000:
        return (length | 0xC00000).to_bytes(3, "big")
    if length < 0x10000000:
        return (length | 0xE0000000).to_bytes(4, "big")
    return b"\xf0" + length.to_bytes(4, "big")


def prefix_size(first: int) -> int:
    """Return the number of prefix bytes that start with `first`; raises
    ProtocolError for the undefined ones.
    """
    if first < 0x80:
        return 1
    if first < 0xC0:
        return 2
    if first < 0xE0:
        return 3
    if first < 0xF0:
        return 4
    if first == 0xF0:
        return 5
    raise ProtocolError(f"undefined control byte 0x{first:02X}")


def decode_length(prefix: bytes) -> int:
    """Return the length of the word behind a complete `prefix` of 1 to 5
    bytes.
    """
    size = len(prefix)
    if size == 5:
        return int.from_bytes(prefix[1:], "big")
    return (
        int.from_bytes(prefix, "big")
        & (0x7F, 0x3FFF, 0x1FFFFF, 0xFFFFFFF)[size - 1]
    )


def to_bytes(text: str) -> bytes:
    """Return a text of the simulator as it goes over the wire."""
    return text.encode("utf-8", "surrogateescape")


def to_text(raw: bytes) -> str:
    """Return bytes of the wire as a text that gives the same bytes back."""
    return raw.decode("utf-8", "surrogateescape")


def encode_word(raw: bytes) -> bytes:
    """Return a word with its prefix."""
    return encode_length(len(raw)) + raw


def encode_sentence(sentence: Iterable[bytes]) -> bytes:
    """Return a whole sentence with its closing empty word."""
    parts: list[bytes] = []
    for word in sentence:
        parts.append(encode_length(len(word)))
        parts.append(word)
    parts.append(b"\x00")
    return b"".join(parts)


class Decoder:
    """Takes the bytes of one direction as they come, gives whole sentences;
    empty ones are dropped.
    """

    def __init__(
        self, max_word: int = MAX_WORD, max_sentence: int = MAX_WORD
    ) -> None:
        self.max_word = max_word
        self.max_sentence = max_sentence
        self._buffer = bytearray()
        self._needed = 1
        self._words: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[list[bytes]]:
        """Return the sentences completed by `data`, in order. Raises
        ProtocolError on a control byte or an oversize.
        """
        self._buffer += data
        sentences: list[list[bytes]] = []
        if len(self._buffer) < self._needed:
            return sentences
        buffer, at, end = self._buffer, 0, len(self._buffer)
        self._needed = 1
        while at < end:
            first = buffer[at]
            size = 1 if first < 0x80 else prefix_size(first)
            if end - at < size:
                self._needed = size
                break
            length = (
                first
                if size == 1
                else decode_length(bytes(buffer[at : at + size]))
            )
            if (
                length > self.max_word
                or self._size + length > self.max_sentence
            ):
                raise ProtocolError(f"word of {length} bytes is too long")
            if end - at < size + length:
                self._needed = size + length
                break
            at += size
            if length:
                self._words.append(bytes(buffer[at : at + length]))
                self._size += length
                at += length
            elif self._words:
                sentences.append(self._words)
                self._words, self._size = [], 0
        del buffer[:at]
        return sentences
