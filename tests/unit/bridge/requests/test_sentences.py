"""Sentences for a router, as callers of every age write them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebro.bridge.errors import ApiError
from cerebro.bridge.requests.sentences import read_line, read_sentences


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("/ip/arp/print", ["/ip/arp/print"]),
        ("/ip arp print", ["/ip/arp/print"]),
        ("  /ip/arp   print ", ["/ip/arp/print"]),
        (
            "/ip hotspot active print where user=guest server=hs1",
            ["/ip/hotspot/active/print", "?user=guest", "?server=hs1"],
        ),
        (
            '/ip/hotspot/user/add name=guest comment="a b = \\"c\\""',
            ["/ip/hotspot/user/add", "=name=guest", '=comment=a b = "c"'],
        ),
        (
            "/ip/arp/print ?address=10.5.50.10 =.proplist=address",
            ["/ip/arp/print", "?address=10.5.50.10", "=.proplist=address"],
        ),
        (
            "/ip/arp/print count-only without-paging",
            ["/ip/arp/print", "=count-only="],
        ),
        ("/ping address=192.0.2.1", ["/ping", "=address=192.0.2.1"]),
        ("/ip/arp/remove .id=*1", ["/ip/arp/remove", "=.id=*1"]),
    ],
)
def test_f10_a_line_of_the_console_becomes_api_words(
    line: str, words: list[str]
) -> None:
    assert list(read_line(line)) == words


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("ip arp print", "ip"),
        ("/ip arp remove [find where address=1]", "["),
        ("/ip arp print where !dynamic", "!dynamic"),
        ("/ip arp print where address~10", "address~10"),
        ("/ip arp print where address>10", "address>10"),
        ("/ip arp print where a=1 and b=2", "and"),
        ("/ip arp print; /quit", "print;"),
        (":put hello", ":put"),
        ("/ip arp add address=$x", "$"),
        ('/ip arp add comment="$x"', "$"),
        ("/ip arp add comment=(1)", "("),
        ('/ip arp add comment="open', "open"),
        ("/ping 192.0.2.1", "192.0.2.1"),
    ],
)
def test_f10_what_has_no_meaning_in_the_api_is_named(
    line: str, named: str
) -> None:
    with pytest.raises(ApiError) as refused:
        read_line(line)
    error = refused.value
    assert (error.status, error.code) == (400, "unsupported_syntax")
    assert named in error.text


def test_sentences_come_in_any_of_the_shapes_that_clients_use() -> None:
    arp = ("/ip/arp/print", "?address=10.5.50.10")
    for shape in (
        "/ip arp print where address=10.5.50.10",
        ["/ip/arp/print ?address=10.5.50.10"],
        ["/ip/arp/print", "?address=10.5.50.10"],
        [["/ip/arp/print", "?address=10.5.50.10"]],
        ["", None, 7, "/ip/arp/print", " ?address=10.5.50.10 "],
    ):
        assert read_sentences(shape, "sentences") == [arp]


@pytest.mark.parametrize(
    "shape", [[], [""], [7], {}, 7, [[]], [["ip"]], [[7]], ["=a=b"]]
)
def test_sentences_that_are_none_are_400(shape: object) -> None:
    with pytest.raises(ApiError) as refused:
        read_sentences(shape, "sentences")
    assert refused.value.status == 400


def test_sentences_have_bounds() -> None:
    for shape in (
        ["/ip/arp/print"] * 65,
        ["/ip/arp/print x=" + "y" * 5000],
        [["/ip/arp/print", *["=a=b"] * 64]],
    ):
        with pytest.raises(ApiError, match="at most"):
            read_sentences(shape, "sentences")


@given(st.text(max_size=60))
def test_no_text_becomes_anything_but_words_or_a_400(line: str) -> None:
    words: tuple[str, ...] = ("/",)
    with suppress(ApiError):
        words = read_line(line)
    assert words[0].startswith("/")
    assert all(word[0] in "=?" for word in words[1:])
