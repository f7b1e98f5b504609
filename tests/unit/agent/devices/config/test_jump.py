"""By how much the guard is behind a clock that jumped ahead, as the looks at it show (rule B13)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cerebro.agent.devices.config.jump import Boot, next_boot
from cerebro.agent.devices.model import NtpState, RouterClock

MINUTE, HOUR, DAY = 60, 3600, 86_400
BOOTED = 1_796_000_000


def look(passed: int, jump: int, ntp: NtpState, reboot_at: int) -> RouterClock:
    """A look at the clock after so many seconds; the router had been up for a day."""
    began = -DAY if passed < reboot_at else reboot_at
    return RouterClock(
        0, ntp, uptime=passed - began, booted=BOOTED + began + jump
    )


def late(
    jumps: Sequence[tuple[int, int]],
    ntp: NtpState = "Off",
    reboot_at: int = 10 * DAY,
) -> list[int]:
    """How late the guard is at each look; `jumps` are when they were, and how far the clock had jumped by then."""
    boot: Boot | None = None
    result = []
    for passed, jump in jumps:
        clock = look(passed, jump, ntp, reboot_at)
        boot = next_boot(boot, clock, 1000.0 + passed)
        assert boot is not None
        result.append(boot.late)
    return result


def test_a_clock_that_goes_evenly_or_drifts_keeps_nobody_in() -> None:
    drift = [(minute * 300, minute // 2) for minute in range(200)]

    assert set(late(drift)) <= {0, 1}


def test_b13_without_ntp_a_jump_ahead_counts_until_the_router_starts_anew() -> (
    None
):
    looks = [
        (0, 0),
        (300, 600),
        (9 * HOUR, 600),
        (2 * DAY, 600),
        (3 * DAY, 600),
    ]

    assert late(looks) == [0, 600, 600, 600, 600]
    assert late(looks, reboot_at=DAY) == [0, 600, 600, 0, 0]


def test_a_start_is_seen_though_the_uptime_is_longer_by_then() -> None:
    """The router had been up for a day, and is up for nine by the next look."""
    looks = [(0, 0), (10 * DAY, 0)]

    assert late(looks, reboot_at=DAY) == [0, 0]


def test_with_ntp_it_counts_for_an_hour_in_which_the_clock_goes_evenly() -> (
    None
):
    looks = [
        (0, 0),
        (300, 600),
        (30 * MINUTE, 600),
        (HOUR, 900),
        (2 * HOUR, 900),
    ]
    last = (2 * HOUR + 3 * MINUTE, 900)

    assert late([*looks, last], "Synchronized") == [0, 600, 600, 900, 900, 0]


@pytest.mark.parametrize("ntp", ["Off", "Synchronized"])
def test_a_jump_back_counts_at_once(ntp: NtpState) -> None:
    assert late([(0, 0), (300, 600), (600, -50), (900, -50)], ntp) == [
        0,
        600,
        0,
        0,
    ]


def test_a_router_that_says_no_uptime_changes_nothing() -> None:
    boot = Boot(BOOTED, BOOTED, DAY, 1000.0, 1000.0)

    assert next_boot(boot, RouterClock(0), 1300.0) == boot
    assert next_boot(None, RouterClock(0), 1300.0) is None
