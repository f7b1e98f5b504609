"""Rules A1 and A3: derived names and label values are valid and never change. Pure; nothing is faked."""

import hashlib
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebro.resources import (
    label_value,
    place_of_order,
    session_name,
    supersession_name,
)
from cerebro.resources.naming import LABEL_DEVICE, LABEL_ORDER, device_name
from cerebro.resources.values import NAME_PATTERN

DEVICE_NAMES = st.from_regex(
    re.compile(NAME_PATTERN.removesuffix("$"), re.ASCII), fullmatch=True
).filter(lambda name: len(name) <= 253)


def test_a1_a_name_is_the_device_and_ten_digits_of_a_known_hash() -> None:
    digest = hashlib.sha256(
        b'["cerebro","router-17","Paid","123"]'
    ).hexdigest()
    assert (
        session_name("cerebro", "router-17", "Paid", "123")
        == f"router-17-{digest[:10]}"
    )


def test_a1_trial_and_paid_devices_and_namespaces_make_different_names() -> (
    None
):
    names = {
        session_name("a", "r", "Paid", "1"),
        session_name("a", "r", "Trial", "1"),
        session_name("b", "r", "Paid", "1"),
        session_name("a", "r2", "Paid", "1"),
        session_name("a", "r", "Paid", '1","2'),
    }
    assert len(names) == 5


@given(DEVICE_NAMES, st.text(min_size=1, max_size=128))
def test_a1_any_order_of_any_device_gives_a_valid_name(
    device: str, order: str
) -> None:
    name = session_name("cerebro", device, "Paid", order)
    assert re.fullmatch(NAME_PATTERN, name)
    assert len(name) <= 211
    assert name == session_name("cerebro", device, "Paid", order)


def test_a1_a_long_device_name_is_cut_where_a_name_can_go_on() -> None:
    device = "r" * 199 + ".x" * 20
    name = session_name("cerebro", device, "Paid", "1")
    assert name.startswith("r" * 199 + "-")
    assert name != session_name("cerebro", device + ".y", "Paid", "1"), (
        "the hash still tells them apart"
    )


def test_a1_what_stands_in_place_of_an_order() -> None:
    at = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert (
        place_of_order(session_id="s1", client="10.5.50.7", requested_at=at)
        == "session:s1"
    )
    found = place_of_order(
        session_id=None, client="AA:BB:CC:DD:EE:FF", requested_at=at
    )
    assert found == "client:AA:BB:CC:DD:EE:FF:2030-01-01T12:00:00Z"
    with pytest.raises(ValueError, match="needs an order"):
        place_of_order(session_id=None, client=None, requested_at=at)


def test_a10_a_superseding_session_is_named_after_the_one_it_supersedes() -> (
    None
):
    assert supersession_name("n", "r", "Paid", "from-git") == session_name(
        "n", "r", "Paid", "supersedes:from-git"
    )


@pytest.mark.parametrize("text", ["123", "a", "A.b_c-9", "x" * 63, ""])
def test_a3_a_valid_label_value_is_carried_as_it_is(text: str) -> None:
    assert label_value(text) == text


@pytest.mark.parametrize(
    "text", ["trial:1", "pedido 1", "ção", "-a", "a-", "x" * 64, "a\n"]
)
def test_a3_any_other_text_becomes_forty_digits_of_its_hash(text: str) -> None:
    assert label_value(text) == hashlib.sha256(text.encode()).hexdigest()[:40]


@given(st.text(max_size=128))
def test_a3_label_values_are_always_valid(text: str) -> None:
    assert re.fullmatch(
        r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", label_value(text)
    )


def test_our_labels_are_in_our_group() -> None:
    assert (LABEL_DEVICE, LABEL_ORDER) == (
        "relay.cerebro.dev/device",
        "relay.cerebro.dev/order",
    )


@pytest.mark.parametrize("device_id", ["bus05", "r.1-x", "10.8.0.7"])
def test_f9_a_valid_name_stays(device_id: str) -> None:
    assert device_name(device_id) == device_id


@pytest.mark.parametrize(
    ("device_id", "start"),
    [
        ("BUS 05", "bus-05-"),
        ('r"1\\$', "r-1-"),
        ("ônibus", "nibus-"),
        ("***", "router-"),
    ],
)
def test_f9_an_invalid_name_is_made_valid_and_told_apart(
    device_id: str, start: str
) -> None:
    digest = hashlib.sha256(device_id.encode()).hexdigest()[:6]
    assert device_name(device_id) == start + digest


@given(st.text(min_size=1, max_size=300))
def test_f9_any_text_gives_a_valid_name_that_has_room_for_a_suffix(
    device_id: str,
) -> None:
    name = device_name(device_id)
    assert re.fullmatch(NAME_PATTERN, name)
    assert len(name) <= 207
