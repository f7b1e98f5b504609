"""What a comment on a router says (A3) and whose row it makes it (B4). Pure."""

from __future__ import annotations

import hashlib

import pytest

from cerebro.routeros.access.marker import (
    Marker,
    client_id,
    is_legacy,
    marker_for,
    parse_marker,
)

MAC = "AA:BB:CC:DD:EE:01"
ID = hashlib.sha256(MAC.encode()).hexdigest()[:10]


@pytest.mark.parametrize(
    ("until", "text"),
    [
        (None, f"cerebro:main:{ID}:never"),
        (1_767_139_200, f"cerebro:main:{ID}:1767139200"),
        (1_767_139_200.001, f"cerebro:main:{ID}:1767139201"),
    ],
)
def test_a3_a_comment_carries_installation_client_and_end_and_reads_back(
    until: float | None, text: str
) -> None:
    """Ends are rounded up, so that nobody loses a part of a second."""
    marker = marker_for("main", MAC, until)
    assert str(marker) == text
    assert parse_marker(text, "main") == marker


def test_a3_the_id_is_of_the_client_key_alone() -> None:
    """It is the same for all Sessions that share a row, and another for another phone."""
    assert (
        marker_for("main", MAC, 1).client_id
        == marker_for("other", MAC, None).client_id
        == client_id(MAC)
    )
    assert client_id("10.5.50.10") != client_id(MAC)


@pytest.mark.parametrize(
    "comment",
    [
        None,
        "",
        f"cerebro:other:{ID}:never",
        f"cerebro:main:{ID}:soon",
        f"cerebro:main:{ID[:9]}:never",
        f"cerebro:main:{ID}:never ",
        f"cerebro:main:{ID}:1767139200\n",
        f"x cerebro:main:{ID}:never",
        "pedido:P-1",
    ],
)
def test_a3_b4_any_other_comment_is_foreign(comment: str | None) -> None:
    assert parse_marker(comment, "main") is None


def test_a3_an_installation_is_not_taken_for_the_beginning_of_another() -> (
    None
):
    assert parse_marker(str(Marker("main-2", ID, None)), "main") is None


@pytest.mark.parametrize(
    ("comment", "legacy"),
    [
        ("pedido:P-1", True),
        ("paid:7", True),
        ("pedido:", False),
        ("my pedido:1", False),
        (None, False),
    ],
)
def test_b4_comments_of_the_older_relay_are_known(
    comment: str | None, legacy: bool
) -> None:
    assert is_legacy(comment) is legacy
