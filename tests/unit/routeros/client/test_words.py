"""Commands and sentences as words. Pure."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebro.routeros.client.codec import decode, encode, parse
from cerebro.routeros.client.command import Command


def test_words_of_a_command() -> None:
    command = Command(
        "/ip/arp",
        "print",
        {".proplist": ".id", "count-only": "", "!x": ""},
        ("?a=1", "?#!"),
    )
    assert command.words() == [
        "/ip/arp/print",
        "=.proplist=.id",
        "=count-only=",
        "=!x=",
        "?a=1",
        "?#!",
    ]
    assert Command("/", "ping").word == "/ping"


@pytest.mark.parametrize(
    ("verb", "reads"),
    [
        ("print", True),
        ("ping", True),
        ("add", False),
        ("set", False),
        ("unheard-of", False),
    ],
)
def test_what_is_not_known_to_read_counts_as_a_write(
    verb: str, reads: bool
) -> None:
    assert Command("/x", verb).reads is reads


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "ip/arp", "verb": "print"},
        {"path": "/ip/arp", "verb": ""},
        {"path": "/ip", "verb": "arp/print"},
        {"path": "/x", "verb": "set", "attributes": {"": "a"}},
        {"path": "/x", "verb": "set", "attributes": {"a=b": "c"}},
        {"path": "/x", "verb": "print", "queries": ("",)},
        {"path": "/x", "verb": "print", "queries": (".tag=1",)},
    ],
)
def test_what_would_be_another_sentence_is_refused(
    arguments: dict[str, Any],
) -> None:
    """An empty word would end the sentence, a tag word would mix up replies."""
    with pytest.raises(ValueError, match=r"path|attribute name|query word"):
        Command(**arguments)


def test_values_are_not_shown() -> None:
    assert "hidden" not in repr(
        Command("/user", "set", {"password": "hidden"})
    )


@given(st.binary())
def test_every_byte_survives_both_ways(data: bytes) -> None:
    """1.11: whatever bytes a router sends are text here and the same bytes when sent back."""
    text = decode(data.decode("latin-1"))
    assert encode(text).encode("latin-1") == data


@given(st.text())
def test_text_is_utf_8_on_the_wire(text: str) -> None:
    assert encode(text).encode("latin-1") == text.encode("utf-8")
    assert decode(encode(text)) == text


def test_the_order_of_words_in_a_sentence_has_no_meaning() -> None:
    attributes = {".id": "*1", "comment": "a=b", "empty": ""}
    words = [".tag=7", "=.id=*1", "=comment=a=b", "=empty="]
    assert (
        parse(["!re", *words])
        == parse(["!re", *reversed(words)])
        == ("!re", "7", attributes, [])
    )
    assert parse(["!fatal", "not logged in"]) == (
        "!fatal",
        "",
        {},
        ["not logged in"],
    )
    assert parse(["!done"]) == ("!done", "", {}, [])
