"""Durations, MACs, times: what is read, what is written, what is refused. Pure; nothing is faked."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cerebro.resources import (
    format_duration,
    format_time,
    normalise_mac,
    parse_duration,
)
from cerebro.resources.values import DURATION_PATTERN

DURATIONS = st.integers(min_value=0, max_value=999_999 * 3_600_000).map(
    lambda ms: timedelta(milliseconds=ms)
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5m", 300),
        ("12h", 43_200),
        ("1h30m", 5_400),
        ("90s", 90),
        ("0s", 0),
        ("500ms", 0.5),
        ("1h0m0s", 3_600),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "1d",
        "1m1h",
        "-5m",
        "1.5h",
        "5 m",
        "5m\n",
        "٣m",
        "PT5M",
        "1234567h",
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 5m, 12h or 1h30m"):
        parse_duration(text)


@given(DURATIONS)
def test_durations_round_trip_and_match_what_the_api_server_takes(
    duration: timedelta,
) -> None:
    text = format_duration(duration)
    assert parse_duration(text) == duration
    assert re.match(DURATION_PATTERN, text)
    assert len(text) <= 32


def test_less_than_a_millisecond_is_rounded_up_and_nothing_is_negative() -> (
    None
):
    assert format_duration(timedelta(microseconds=1)) == "1ms"
    with pytest.raises(ValueError, match="negative"):
        format_duration(timedelta(seconds=-1))


@pytest.mark.parametrize(
    "text",
    [
        "aa:bb:cc:dd:ee:0f",
        "AA-BB-CC-DD-EE-0F",
        "aabb.ccdd.ee0f",
        "aabbccddee0f",
        " AA:BB:CC:DD:EE:0F ",
    ],
)
def test_a_mac_in_any_usual_spelling_comes_out_as_one(text: str) -> None:
    assert normalise_mac(text) == "AA:BB:CC:DD:EE:0F"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AA:BB:CC:DD:EE",
        "AA:BB:CC:DD:EE:FF:00",
        "GG:BB:CC:DD:EE:FF",
        "router-17",
    ],
)
def test_what_is_no_mac_is_refused_with_the_format(text: str) -> None:
    with pytest.raises(ValueError, match="AA:BB:CC:DD:EE:FF"):
        normalise_mac(text)


@given(st.binary(min_size=6, max_size=6), st.sampled_from([":", "-", ""]))
def test_any_mac_is_normalised_once_and_for_all(
    octets: bytes, separator: str
) -> None:
    text = octets.hex(separator) if separator else octets.hex()
    once = normalise_mac(text)
    assert normalise_mac(once) == once == octets.hex(":").upper()


def test_times_are_written_in_utc() -> None:
    lisbon_summer = timezone(timedelta(hours=1))
    assert (
        format_time(datetime(2030, 7, 1, 13, 0, tzinfo=lisbon_summer))
        == "2030-07-01T12:00:00Z"
    )
    assert (
        format_time(datetime(2030, 7, 1, 12, 0, 0, 250_000, tzinfo=UTC))
        == "2030-07-01T12:00:00.250000Z"
    )
