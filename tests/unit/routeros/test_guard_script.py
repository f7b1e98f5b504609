"""What the guard's script does on a router (rule B13): whom it ends, whom it leaves, and what a wrong clock changes.

It is run by the simulator's interpreter of scripts, which was written from MikroTik's manual and shares no code with
ours. The router has no listener: nobody talks to it, as with agent, tunnel and API server gone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cerebro.routeros.access.marker import marker_for
from cerebro.routeros.configuration.guard import guard_part
from cerebro.routeros.configuration.guard_script import guard_script
from simulator.control_server import act
from simulator.options import RouterOptions
from simulator.rights import ROOT
from simulator.router import Router

BINDING, LIST = "/ip/hotspot/ip-binding", "/ip/firewall/address-list"
USER, ACTIVE = "/ip/hotspot/user", "/ip/hotspot/active"
HOST, COOKIE = "/ip/hotspot/host", "/ip/hotspot/cookie"
CLOCK, NTP = "/system/clock", "/system/ntp/client"
MINUTE, HOUR = 60, 3600
LATE = 90
"""Seconds after its end at which a client has to be out."""

ANNA, BOB, EVA = (f"02:00:00:00:00:0{number}" for number in (1, 2, 3))
ANNA_IP, BOB_IP, EVA_IP = (f"10.5.50.{number}" for number in (1, 2, 3))


def make_router(version: str = "7.21.5", installation: str = "main") -> Router:
    """A hotspot with the guard on it; its log is empty."""
    router = Router(RouterOptions("r1", version=version))
    router.up = True
    act(router, "/ip/hotspot", "add", {"name": "hs", "interface": "bridge"})
    for row in guard_part(installation, scripted=True, runs=True).rows:
        values = {k: v for k, v in row.values.items() if k != "disabled"}
        act(router, row.menu.path, "add", values)
    return router


@pytest.fixture
def router() -> Router:
    return make_router()


def now(router: Router) -> float:
    """What time it is, whatever the router's clock shows."""
    return time.time() + router.clock.skipped


def advance(router: Router, seconds: float) -> None:
    """Let time pass; no more than one turn of the scheduler is missed."""
    while seconds > 0:
        step = min(seconds, 10)
        router.clock.advance(step)
        router.settle()
        seconds -= step


def mark(router: Router, key: str, after: float | None) -> str:
    until = None if after is None else now(router) + after
    return str(marker_for("main", key, until))


def bind(router: Router, mac: str, after: float | None, **values: str) -> str:
    names = {"mac-address": mac, "type": "bypassed", **values}
    return act(
        router,
        BINDING,
        "add",
        {"comment": mark(router, mac, after), **names},
    )


def forwarded(router: Router, mac: str) -> bool:
    """Whether a packet of a connection that the client has had goes out."""
    return router.network.packet(mac, "flow").forwarded


def column(router: Router, path: str, name: str) -> list[str]:
    return [row.get(name, "") for row in router.show(path)]


def mishaps(router: Router) -> list[str]:
    """Lines of the log that tell of an error in the script."""
    return [
        row["message"]
        for row in router.show("/log")
        if "error" in row["topics"]
    ]


# --- who is ended, and who is not


def test_whose_end_has_come_is_out_in_time_and_the_others_are_not(
    router: Router,
) -> None:
    bind(router, ANNA, 30)
    bind(router, BOB, HOUR)
    bind(router, EVA, None)
    for mac, ip in ((ANNA, ANNA_IP), (BOB, BOB_IP), (EVA, EVA_IP)):
        router.network.move_in(mac, ip)
        assert forwarded(router, mac)

    advance(router, 30 + LATE)

    assert not forwarded(router, ANNA)
    assert forwarded(router, BOB)
    assert forwarded(router, EVA)
    assert ANNA not in column(router, BINDING, "mac-address")
    assert mishaps(router) == []


def test_b13_who_is_let_in_by_address_too_goes_on(router: Router) -> None:
    """By a row of a person's that names no MAC."""
    bind(router, ANNA, 30)
    row = {"address": ANNA_IP, "type": "bypassed", "comment": "the owner"}
    act(router, BINDING, "add", row)
    router.network.move_in(ANNA, ANNA_IP)
    assert forwarded(router, ANNA)
    hosts = router.show("/ip/hotspot/host")

    advance(router, 30 + LATE)

    assert column(router, BINDING, "mac-address") == [""]
    assert [row[".id"] for row in router.show("/ip/hotspot/host")] == [
        row[".id"] for row in hosts
    ]
    assert forwarded(router, ANNA)
    assert mishaps(router) == []


def test_nobody_is_ended_before_the_end(router: Router) -> None:
    bind(router, ANNA, 10 * MINUTE)

    advance(router, 10 * MINUTE - 1)

    assert column(router, BINDING, "mac-address") == [ANNA]


def test_rows_by_hand_and_of_another_installation_stay(
    router: Router,
) -> None:
    past = math.floor(now(router)) - HOUR
    notes = [
        "the owner's phone",
        f"cerebro:other:0123456789:{past}",
        f"cerebro:main:0123456789:{past} and more",
        f"see cerebro:main:0123456789:{past}",
        f"cerebro:main:XYZ:{past}",
        "cerebro:main:0123456789:never",
        "cerebro:main:tunnel",
        f"pedido:{past}",
    ]
    for number, note in enumerate(notes):
        mac, ip = f"02:00:00:00:01:{number:02X}", f"10.5.51.{number + 1}"
        act(router, BINDING, "add", {"mac-address": mac, "comment": note})
        act(router, LIST, "add", {"list": "x", "address": ip, "comment": note})
        act(router, USER, "add", {"name": f"u{number}", "comment": note})

    advance(router, 3 * MINUTE)

    for path in (BINDING, LIST):
        assert column(router, path, "comment") == notes
    assert [note for note in column(router, USER, "comment") if note] == notes


ROWS = {
    BINDING: {"type": "bypassed"},
    LIST: {"list": "paid_clients", "address": ANNA_IP},
    USER: {"name": "anna", "password": "x"},
}
"""By menu, what a row of a client says besides its end."""


@pytest.mark.parametrize("until", [HOUR, None], ids=["later", "for-ever"])
@pytest.mark.parametrize("written", ROWS)
def test_b13_a_client_of_whom_one_row_was_prolonged_stays_whole(
    router: Router, written: str, until: float | None
) -> None:
    """The tunnel went when the first of the rows was written."""
    for menu, values in ROWS.items():
        end = until if menu == written else 30
        names = {"mac-address": ANNA} if menu == BINDING else {}
        note = {"comment": mark(router, ANNA, end)}
        act(router, menu, "add", {**values, **names, **note})
    bind(router, BOB, 30)
    router.network.move_in(ANNA, ANNA_IP)
    assert forwarded(router, ANNA)

    advance(router, 30 + LATE)
    assert forwarded(router, ANNA)
    for menu in ROWS:
        assert len([n for n in column(router, menu, "comment") if n]) == 1
    assert BOB not in column(router, BINDING, "mac-address")

    advance(router, HOUR)
    expected = 0 if until else 1
    for menu in ROWS:
        rows = [note for note in column(router, menu, "comment") if note]
        assert len(rows) == expected
    assert forwarded(router, ANNA) is not bool(until)
    assert mishaps(router) == []


@pytest.mark.parametrize(
    "other",
    [
        {"disabled": "yes"},
        {"comment": "cerebro:other:{id}:{later}"},
        {"comment": "cerebro:main:{id}:{later} and more"},
        {"comment": "cerebro:main:0123456789:{later}"},
    ],
    ids=["disabled", "of-others", "by-hand", "another-client"],
)
def test_a_row_that_gives_no_more_time_keeps_nobody_in(
    router: Router, other: dict[str, str]
) -> None:
    bind(router, ANNA, 30)
    _, _, client, _ = mark(router, ANNA, 0).split(":")
    later = math.ceil(now(router)) + HOUR
    row = {
        "list": "x",
        "address": ANNA_IP,
        "comment": mark(router, ANNA, HOUR),
    }
    row |= {k: v.format(id=client, later=later) for k, v in other.items()}
    act(router, LIST, "add", row)

    advance(router, 30 + LATE)

    assert column(router, BINDING, "mac-address") == []
    assert column(router, LIST, "comment") == [row["comment"]]
    assert mishaps(router) == []


def test_a_timed_entry_of_the_router_stays(router: Router) -> None:
    note = mark(router, ANNA, -HOUR)
    act(
        router,
        LIST,
        "add",
        {"list": "x", "address": ANNA_IP, "timeout": "1d", "comment": note},
    )

    advance(router, 2 * MINUTE)

    assert column(router, LIST, "comment") == [note]


def test_a_client_of_the_address_list_is_out(router: Router) -> None:
    router.options.access = "list"
    for ip, after in ((ANNA_IP, 30), (BOB_IP, HOUR)):
        note = mark(router, ip, after)
        values = {"list": "paid_clients", "address": ip, "comment": note}
        act(router, LIST, "add", values)
    router.network.move_in(ANNA, ANNA_IP)
    router.network.move_in(BOB, BOB_IP)
    assert forwarded(router, ANNA)
    assert forwarded(router, BOB)

    advance(router, 30 + LATE)

    assert not forwarded(router, ANNA)
    assert forwarded(router, BOB)


def test_a_hotspot_user_goes_with_login_and_cookie(router: Router) -> None:
    for name, after, mac, ip in (
        ("anna", 30, ANNA, ANNA_IP),
        ("bob", HOUR, BOB, BOB_IP),
    ):
        note = mark(router, name, after)
        values = {"name": name, "password": "x", "comment": note}
        act(router, USER, "add", values)
        router.network.move_in(mac, ip)
        host = router.hotspot.arrive(mac, ip)
        assert host is not None
        router.hotspot.log_in(host, name, "x")
        assert forwarded(router, mac)

    advance(router, 30 + LATE)

    assert not forwarded(router, ANNA)
    assert forwarded(router, BOB)
    assert column(router, ACTIVE, "user") == ["bob"]
    assert column(router, COOKIE, "user") == ["bob"]
    assert mishaps(router) == []


def test_b13_a_login_by_radius_with_the_name_of_an_ended_account_stays(
    router: Router,
) -> None:
    many = {"name": "many", "shared-users": "3"}
    act(router, f"{USER}/profile", "add", many)
    values = {"name": "anna", "password": "x", "profile": "many"}
    act(router, USER, "add", {**values, "comment": mark(router, "anna", 30)})
    for mac, ip in ((ANNA, ANNA_IP), (BOB, BOB_IP), (EVA, EVA_IP)):
        router.network.move_in(mac, ip)
        host = router.hotspot.arrive(mac, ip)
        assert host is not None
        login = router.hotspot.log_in(host, "anna", "x")
        login.values["radius"] = str(mac != ANNA).lower()
        assert forwarded(router, mac)
    bind(router, EVA, 30)

    advance(router, 30 + LATE)

    assert column(router, ACTIVE, "mac-address") == [BOB]
    assert column(router, COOKIE, "mac-address") == [BOB]
    assert [forwarded(router, mac) for mac in (ANNA, BOB, EVA)] == [
        False,
        True,
        False,
    ]
    assert mishaps(router) == []


def test_a_login_of_an_account_that_lives_outlives_a_binding_of_its_phone(
    router: Router,
) -> None:
    note = mark(router, "anna", HOUR)
    act(
        router,
        USER,
        "add",
        {"name": "anna", "password": "x", "comment": note},
    )
    router.network.move_in(ANNA, ANNA_IP)
    host = router.hotspot.arrive(ANNA, ANNA_IP)
    assert host is not None
    router.hotspot.log_in(host, "anna", "x")
    bind(router, ANNA, 30)
    assert forwarded(router, ANNA)

    advance(router, 30 + LATE)

    assert column(router, BINDING, "mac-address") == []
    assert forwarded(router, ANNA)
    assert column(router, COOKIE, "user") == ["anna"]


def test_a_phone_that_a_person_lets_in_besides_keeps_its_connections(
    router: Router,
) -> None:
    router.network.move_in(ANNA, ANNA_IP)
    bind(router, ANNA, 30, server="hs")
    act(
        router,
        BINDING,
        "add",
        {"mac-address": ANNA, "type": "bypassed", "comment": "the owner"},
    )
    assert forwarded(router, ANNA)
    connections = column(router, "/ip/firewall/connection", ".id")

    advance(router, 30 + LATE)

    assert column(router, BINDING, "comment") == ["the owner"]
    assert column(router, "/ip/firewall/connection", ".id") == connections


def test_who_got_the_address_of_an_ended_phone_stays_in(
    router: Router,
) -> None:
    bind(router, ANNA, 30)
    note = mark(router, ANNA, 30)
    values = {"list": "paid_clients", "address": ANNA_IP, "comment": note}
    act(router, LIST, "add", values)
    bind(router, BOB, HOUR)
    router.network.move_in(BOB, ANNA_IP)
    assert forwarded(router, BOB)
    connections = column(router, "/ip/firewall/connection", ".id")

    advance(router, 30 + LATE)

    assert forwarded(router, BOB)
    assert column(router, "/ip/firewall/connection", ".id") == connections


def test_many_end_in_one_run_with_their_connections(router: Router) -> None:
    macs = [f"02:00:00:00:02:{number:02X}" for number in range(60)]
    for number, mac in enumerate(macs):
        router.network.move_in(mac, f"10.5.52.{number + 1}")
        bind(router, mac, 30 if number % 2 else HOUR)
        assert forwarded(router, mac)

    advance(router, 30 + LATE)

    assert [forwarded(router, mac) for mac in macs] == [
        number % 2 == 0 for number in range(60)
    ]


# --- the clock


@pytest.mark.parametrize(
    "zone",
    ["America/Sao_Paulo", "America/St_Johns", "Asia/Kathmandu", "manual"],
)
@pytest.mark.parametrize("version", ["7.10", "7.11.2", "7.16", "7.23"])
def test_the_end_is_met_in_every_zone_and_version(
    zone: str, version: str
) -> None:
    router = make_router(version)
    act(router, CLOCK, "set", {"time-zone-name": zone})
    bind(router, ANNA, 5 * MINUTE)

    advance(router, 5 * MINUTE - 1)
    assert column(router, BINDING, "mac-address") == [ANNA]
    advance(router, LATE)
    assert column(router, BINDING, "mac-address") == []


@pytest.mark.parametrize("days", [30, 59, 92, 366, 460, 1200])
def test_the_end_is_met_on_any_day(router: Router, days: int) -> None:
    router.clock.advance(days * 86_400)
    router.settle()
    bind(router, ANNA, 5 * MINUTE)

    advance(router, 5 * MINUTE - 1)
    assert column(router, BINDING, "mac-address") == [ANNA]
    advance(router, LATE)
    assert column(router, BINDING, "mac-address") == []


def test_a_clock_that_was_never_set_ends_nobody(router: Router) -> None:
    router.clock.lose()
    bind(router, ANNA, -HOUR)

    advance(router, 5 * MINUTE)

    assert column(router, BINDING, "mac-address") == [ANNA]
    router.set_clock()
    advance(router, 2 * MINUTE)
    assert column(router, BINDING, "mac-address") == []


def test_while_ntp_has_not_the_time_nobody_is_ended(router: Router) -> None:
    act(router, NTP, "set", {"enabled": "yes", "servers": "192.0.2.1"})
    router.clock.lose()
    router.shift_clock(now(router) + HOUR)
    bind(router, ANNA, 10 * MINUTE)

    advance(router, 5 * MINUTE)
    assert column(router, BINDING, "mac-address") == [ANNA]

    router.set_clock()
    advance(router, 5 * MINUTE - 2)
    assert column(router, BINDING, "mac-address") == [ANNA]
    advance(router, LATE + 2)
    assert column(router, BINDING, "mac-address") == []


@pytest.mark.parametrize("ntp", ["no", "yes"])
@pytest.mark.parametrize("jump", [-86_400, -HOUR, HOUR, 86_400, 40_000_000])
def test_a_clock_that_jumps_ends_nobody_early(
    router: Router, jump: int, ntp: str
) -> None:
    act(router, NTP, "set", {"enabled": ntp, "servers": "192.0.2.1"})
    advance(router, 2 * MINUTE)
    router.shift_clock(jump)
    bind(router, ANNA, 20 * MINUTE)
    bind(router, BOB, 40 * MINUTE)

    advance(router, 20 * MINUTE - 1)
    assert column(router, BINDING, "mac-address") == [ANNA, BOB]
    advance(router, LATE)

    # Ahead of the uptime, the uptime counts. Behind it, access ends late.
    gone = jump > 0
    assert column(router, BINDING, "mac-address") == [ANNA, BOB][gone:]
    router.set_clock()
    advance(router, 3 * MINUTE)
    if jump > 0:
        assert column(router, BINDING, "mac-address") == [BOB]


def test_a_clock_that_ntp_puts_forward_counts_after_an_hour(
    router: Router,
) -> None:
    act(router, NTP, "set", {"enabled": "yes", "servers": "192.0.2.1"})
    router.shift_clock(-2 * HOUR)
    advance(router, 2 * MINUTE)
    router.set_clock()
    bind(router, ANNA, 5 * MINUTE)

    advance(router, 50 * MINUTE)
    assert column(router, BINDING, "mac-address") == [ANNA]
    advance(router, 15 * MINUTE)

    assert column(router, BINDING, "mac-address") == []
    warnings = [
        row["message"]
        for row in router.show("/log")
        if "warning" in row["topics"]
    ]
    assert len(warnings) == 1
    assert "jumped ahead" in warnings[0]


ENDS = st.integers(-HOUR, 30 * MINUTE)
EVENTS = st.tuples(
    st.sampled_from([-90_000, -61, -3, 0, 3, 45, 7200, 10**8]),
    st.integers(1, 200),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(ENDS, min_size=1, max_size=4),
    st.lists(EVENTS, max_size=8),
    st.booleans(),
)
def test_whatever_the_clock_does_nobody_is_ended_early(
    ends: list[int], events: Iterable[tuple[int, int]], ntp: bool
) -> None:
    router = make_router()
    act(router, NTP, "set", {"enabled": "yes" if ntp else "no"})
    advance(router, 70)
    start = now(router)
    macs = {}
    for number, after in enumerate(ends):
        mac = f"02:00:00:00:03:{number:02X}"
        bind(router, mac, after)
        macs[mac] = start + after

    jumped = False
    for jump, seconds in events:
        jumped = jumped or jump != 0
        router.shift_clock(jump)
        advance(router, seconds)
        there = column(router, BINDING, "mac-address")
        for mac, end in macs.items():
            if end > now(router):
                assert mac in there
            elif not jumped and end + LATE < now(router) > start + 70:
                assert mac not in there

    assert mishaps(router) == []


def test_an_offset_to_the_west_reads_as_an_unsigned_number(
    router: Router,
) -> None:
    act(router, CLOCK, "set", {"time-zone-name": "America/Sao_Paulo"})
    offset = str(2**32 - 3 * HOUR)
    source = guard_script("main").replace(
        "[/system/clock/get gmt-offset]", offset
    )
    assert offset in source
    bind(router, ANNA, 60)
    bind(router, BOB, -60)

    job = router.scripts.run(source, ROOT)

    assert job.error is None
    assert column(router, BINDING, "mac-address") == [ANNA]


# --- what it costs


def fill(router: Router, count: int) -> None:
    """Let in so many clients who stay."""
    for number in range(count):
        high, low = divmod(number, 256)
        bind(router, f"02:00:00:01:{high:02X}:{low:02X}", 9 * HOUR)


@pytest.mark.parametrize("due", [0, 3])
def test_two_thousand_rows_that_are_not_due_cost_hardly_a_step(
    router: Router, due: int
) -> None:
    steps = []
    for count in (20, 1980):
        fill(router, count)
        for number in range(due):
            bind(router, f"02:00:00:02:00:{number:02X}", -HOUR)

        job = router.scripts.run(guard_script("main"), ROOT)

        assert job.error is None
        assert len(router.show(BINDING)) == count
        steps.append(job.steps)
        for row in router.show(BINDING):
            act(router, BINDING, "remove", {".id": row[".id"]})

    # The router's own search goes through them, not the script: once, and
    # once more for the clients who are due.
    searches = 2 if due else 1
    assert steps[1] - steps[0] < searches * 1960 / 20


def test_what_is_due_costs_its_share(router: Router) -> None:
    steps = []
    for count in (100, 200, 300):
        for number in range(count):
            high, low = divmod(number, 256)
            mac, ip = f"02:00:00:03:{high:02X}:{low:02X}", f"10.6.{high}.{low}"
            router.network.move_in(mac, ip)
            bind(router, mac, 0)
            assert forwarded(router, mac)
        bind(router, BOB, -HOUR)
        advance(router, 16)

        job = router.scripts.run(guard_script("main"), ROOT)

        assert job.error is None
        assert router.show(BINDING) == []
        steps.append(job.steps)

    first, second = steps[1] - steps[0], steps[2] - steps[1]
    assert first == pytest.approx(second, rel=0.1)
