"""Words and sentences on the wire; nothing else is involved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.codec import (
    Decoder,
    ProtocolError,
    decode_length,
    encode_length,
    encode_sentence,
    prefix_size,
    to_bytes,
    to_text,
)

BOUNDARIES = {
    0: "00",
    1: "01",
    0x7F: "7f",
    0x80: "8080",
    0x3FFF: "bfff",
    0x4000: "c04000",
    0x1FFFFF: "dfffff",
    0x200000: "e0200000",
    0xFFFFFFF: "efffffff",
    0x10000000: "f010000000",
    0xFFFFFFFF: "f0ffffffff",
}


@pytest.mark.parametrize(("length", "wire"), BOUNDARIES.items())
def test_lengths_at_their_boundaries(length: int, wire: str) -> None:
    """Point 1."""
    prefix = bytes.fromhex(wire)
    assert encode_length(length) == prefix
    assert prefix_size(prefix[0]) == len(prefix)
    assert decode_length(prefix) == length


@pytest.mark.parametrize("first", [*range(0xF1, 0xF8), 0xF8, 0xFF])
def test_undefined_first_bytes_end_the_stream(first: int) -> None:
    """Point 1."""
    with pytest.raises(ProtocolError):
        Decoder().feed(bytes([first]) + b"....")


@pytest.mark.parametrize(
    "size", [1, 0x7F, 0x80, 0x3FFF, 0x4000, 0x1FFFFF, 0x200000]
)
def test_words_of_boundary_sizes_round_trip_in_pieces(size: int) -> None:
    """Point 1."""
    word = bytes(size % 251 for _ in range(1)) * size
    wire = encode_sentence([b"/x", word])
    decoder = Decoder()
    got: list[list[bytes]] = []
    for at in range(0, len(wire), max(1, len(wire) // 7)):
        got += decoder.feed(wire[at : at + max(1, len(wire) // 7)])
    assert got == [[b"/x", word]]


def test_a_five_byte_prefix_is_understood() -> None:
    """Point 1."""
    assert Decoder().feed(b"\xf0\x00\x00\x00\x02ab\x00") == [[b"ab"]]


def test_empty_sentences_are_ignored() -> None:
    """Point 2."""
    assert Decoder().feed(b"\x00\x00\x02/x\x00\x00\x02/y\x00") == [
        [b"/x"],
        [b"/y"],
    ]


def test_a_word_over_the_limit_ends_the_stream() -> None:
    with pytest.raises(ProtocolError):
        Decoder(max_word=10).feed(b"\x0babcdefghijk\x00")


@given(
    st.lists(
        st.lists(st.binary(min_size=1, max_size=300), min_size=1), max_size=8
    ),
    st.integers(1, 50),
)
def test_any_sentences_survive_any_cutting(
    sentences: list[list[bytes]], step: int
) -> None:
    wire = b"".join(encode_sentence(words) for words in sentences)
    decoder = Decoder()
    got = [
        s
        for at in range(0, len(wire), step)
        for s in decoder.feed(wire[at : at + step])
    ]
    assert got == sentences


@given(st.binary())
def test_any_bytes_pass_through_text(raw: bytes) -> None:
    """Point 42."""
    assert to_bytes(to_text(raw)) == raw
