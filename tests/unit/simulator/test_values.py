"""Normal forms of values and the router's texts for wrong ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.errors import Trap
from simulator.values import (
    Address,
    AddressRange,
    Bool,
    Duration,
    Enum,
    Int,
    Kind,
    Mac,
    PrefixList,
    WordSet,
    format_duration,
    parse_duration,
)


@pytest.mark.parametrize(
    ("kind", "given_text", "normal"),
    [
        (Bool(), "yes", "true"),
        (Bool(), "false", "false"),
        (Mac(), "aa-bb-cc-00-00-0f", "AA:BB:CC:00:00:0F"),
        (Mac(), "aabb.cc00.000f", "AA:BB:CC:00:00:0F"),
        (Duration(), "01:30:00", "1h30m"),
        (Duration(), "90", "1m30s"),
        (Duration(), "1d02:00:00", "1d2h"),
        (Duration(), "0", "0s"),
        (Duration(), "300ms", "300ms"),
        (Duration(), "5m", "5m"),
        (Duration(("none",)), "none", "none"),
        (Int(suffixes=True), "2M", "2000000"),
        (Int(1, keywords=("unlimited",)), "unlimited", "unlimited"),
        (Address(), "10.0.0.1", "10.0.0.1"),
        (AddressRange(), "10.10.10.10/32", "10.10.10.10"),
        (AddressRange(), "10.0.0.7/24", "10.0.0.0/24"),
        (AddressRange(), "10.0.0.0-10.0.0.255", "10.0.0.0/24"),
        (AddressRange(), "10.0.0.1-10.0.0.9", "10.0.0.1-10.0.0.9"),
        (
            AddressRange(collapse=False),
            "10.0.0.0-10.0.0.255",
            "10.0.0.0-10.0.0.255",
        ),
        (AddressRange(names=True), "example.com", "example.com"),
        (PrefixList(), "10.0.0.1,10.1.0.0/16", "10.0.0.1/32,10.1.0.0/16"),
        (PrefixList(mask=False), "10.0.0.1", "10.0.0.1"),
        (WordSet(("a", "b", "c")), "c,!b,a", "a,c"),
        (Kind(), "\x00 \udcff=", "\x00 \udcff="),
    ],
)
def test_normal_forms(kind: Kind, given_text: str, normal: str) -> None:
    """Point 28."""
    assert kind.parse("x", given_text) == normal
    assert kind.parse("x", normal) == normal


@pytest.mark.parametrize(
    ("kind", "text", "message", "category"),
    [
        (Bool(), "maybe", "input does not match any value of x", 1),
        (Enum(("a", "b")), "c", "input does not match any value of x", 1),
        (Int(1, 254), "300", "value of x out of range (1..254)", 1),
        (Int(), "ten", "invalid value for argument x", 1),
        (
            Duration(low=10, high=86400),
            "5s",
            "value of x is out of range (00:00:10 .. 1d00:00:00)",
            1,
        ),
        (Duration(), "soon", "invalid value for argument x", 1),
        (Duration(), "", "invalid value for argument x", 1),
        (Mac(), "aa:bb", "invalid value of x, mac address required", 1),
        (Mac(), "", "invalid value of x, mac address required", 1),
        (Mac(), "aabbcc00000f", "invalid value of x, mac address required", 1),
        (Address(), "10.0.0.300", "invalid value for argument x", 1),
        (
            AddressRange(),
            "10.0.0.9-10.0.0.1",
            "value of x expects range of ip addresses",
            1,
        ),
        (
            AddressRange(),
            "example.com",
            "value of x expects range of ip addresses",
            1,
        ),
        (
            AddressRange(names=True),
            "10.0.0.300",
            "value of x expects range of ip addresses",
            1,
        ),
        (WordSet(("a",)), "b", "input does not match any value of x", 1),
    ],
)
def test_wrong_values_and_their_texts(
    kind: Kind, text: str, message: str, category: int
) -> None:
    """Point 23."""
    with pytest.raises(Trap) as caught:
        kind.parse("x", text)
    assert (caught.value.message, caught.value.category) == (message, category)


@given(st.integers(0, 10**9))
def test_a_shown_duration_is_read_back(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


def test_durations_leave_out_zero_parts() -> None:
    assert format_duration(0) == "0s"
    assert format_duration(604800 + 3 * 3600) == "1w3h"
    assert format_duration(0.0015) == "1ms500us"
    assert format_duration(65.23) == "1m5s230ms"
