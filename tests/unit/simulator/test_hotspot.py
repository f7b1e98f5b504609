"""What a hotspot does with clients, packet by packet, without the API in between."""

import pytest

from simulator.errors import Trap
from simulator.hotspot import first_match
from simulator.options import RouterOptions
from simulator.router import Router
from simulator.row import Row

MAC, IP = "AA:BB:CC:00:00:01", "10.5.50.9"


def bind(router: Router, kind: str = "bypassed", **values: str) -> Row:
    return router.tables["/ip/hotspot/ip-binding"].add(
        {"mac-address": MAC, "type": kind} | values
    )


def host(router: Router) -> Row:
    row = router.hotspot.host(MAC, IP)
    assert row is not None
    return row


def forwarded(router: Router, flow: str | None = None) -> bool:
    return router.network.packet(MAC, flow).forwarded


@pytest.fixture
def client(router: Router) -> Router:
    router.network.move_in(MAC, IP)
    return router


def test_no_host_row_before_the_first_packet(client: Router) -> None:
    assert client.hotspot.host(MAC, IP) is None
    assert not forwarded(client)
    assert host(client).values["authorized"] == "false"


def test_a_binding_acts_on_hosts_made_after_it(client: Router) -> None:
    """Point 32."""
    assert not forwarded(client)
    bind(client)
    assert not forwarded(client)
    assert host(client).values["bypassed"] == "false"
    client.hotspot.hosts.remove(host(client))
    assert forwarded(client)
    assert host(client).values["bypassed"] == "true"


def test_a_removed_binding_leaves_the_host_bypassed_until_its_row_goes(
    client: Router,
) -> None:
    binding = bind(client)
    assert forwarded(client)
    client.hotspot.bindings.remove(binding)
    assert forwarded(client)
    client.hotspot.hosts.remove(host(client))
    assert not forwarded(client)


def test_a_flow_lives_until_its_row_goes(client: Router) -> None:
    """Reference 5.3: binding and host gone, the tracked connection goes on."""
    binding = bind(client)
    assert forwarded(client, "film")
    client.hotspot.bindings.remove(binding)
    client.hotspot.hosts.remove(host(client))
    assert forwarded(client, "film")
    assert not forwarded(client, "another")
    assert not forwarded(client)
    (row,) = [
        r
        for r in client.network.connections.rows.values()
        if r.values["tcp-state"] == "established"
    ]
    assert row.values["src-address"].startswith(f"{IP}:")
    client.network.connections.remove(row)
    assert not forwarded(client, "film")


def test_connections_without_a_flow_are_few_and_short(client: Router) -> None:
    bind(client)
    for _ in range(500):
        assert forwarded(client)
    assert len(client.network.connections.rows) == 64
    client.clock.advance(11)
    client.settle()
    assert not client.network.connections.rows


def test_a_blocked_host_gets_nothing_through(client: Router) -> None:
    bind(client, "blocked")
    assert client.network.packet(MAC).reason == "dropped: the host is blocked"
    assert host(client).values["blocked"] == "true"


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([], None),
        (
            [{"mac-address": MAC, "n": "0"}, {"mac-address": MAC, "n": "1"}],
            "0",
        ),
        (
            [
                {"mac-address": MAC, "disabled": "true", "n": "0"},
                {"mac-address": MAC, "n": "1"},
            ],
            "1",
        ),
        (
            [
                {"mac-address": MAC, "server": "*9", "n": "0"},
                {"mac-address": MAC, "server": "*1", "n": "1"},
            ],
            "1",
        ),
        ([{"mac-address": "AA:BB:CC:00:00:02", "n": "0"}], None),
        ([{"address": "10.5.50.1-10.5.50.20", "n": "0"}], "0"),
        (
            [
                {
                    "address": "10.5.50.0/24",
                    "mac-address": "AA:BB:CC:00:00:02",
                    "n": "0",
                }
            ],
            None,
        ),
        ([{"address": "10.5.51.0/24", "n": "0"}], None),
        ([{"comment": "nobody", "n": "0"}], None),
    ],
)
def test_the_first_enabled_binding_that_fits_wins(
    rows: list[dict[str, str]], wanted: str | None
) -> None:
    """Reference 5.2."""
    found = first_match(rows, MAC, IP, "*1")
    assert (found["n"] if found else None) == wanted


def test_removing_active_leaves_the_host_unauthorized_and_a_cookie_brings_it_back(
    client: Router,
) -> None:
    """Point 33."""
    hotspot = client.hotspot
    assert not forwarded(client)
    active = hotspot.log_in(host(client), "guest", None)
    assert forwarded(client)
    hotspot.active.remove(active)
    assert host(client).values["authorized"] == "false"
    assert forwarded(client), "the cookie logs it in again"
    (again,) = hotspot.active.rows.values()
    assert again.values["login-by"] == "mac-cookie"
    (cookie,) = hotspot.cookies.rows.values()
    hotspot.cookies.remove(cookie)
    hotspot.active.remove(again)
    assert not forwarded(client)


@pytest.mark.parametrize(
    ("profile", "seconds_later", "logged_in"),
    [
        ({}, 3600, True),
        ({"add-mac-cookie": "false"}, 0, False),
        ({"mac-cookie-timeout": "10m"}, 599, True),
        ({"mac-cookie-timeout": "10m"}, 601, False),
    ],
)
def test_the_profile_of_a_user_decides_on_its_cookie(
    client: Router,
    profile: dict[str, str],
    seconds_later: int,
    logged_in: bool,
) -> None:
    """Reference 4.7: `add-mac-cookie` and `mac-cookie-timeout`."""
    hotspot = client.hotspot
    kind = hotspot.profiles.add({"name": "guests", **profile})
    hotspot.users.add({"name": "u", "password": "p", "profile": kind.id})
    assert not forwarded(client)
    active = hotspot.log_in(host(client), "u", "p")
    hotspot.active.remove(active)
    client.clock.advance(seconds_later)
    client.settle()
    assert forwarded(client) is logged_in


def test_removing_the_host_ends_its_session(client: Router) -> None:
    """Point 35."""
    assert not forwarded(client)
    client.hotspot.log_in(host(client), "guest", None)
    client.hotspot.hosts.remove(host(client))
    assert not client.hotspot.active.rows


def test_an_idle_host_goes_and_does_not_come_back_by_itself(
    client: Router,
) -> None:
    """Point 35."""
    assert not forwarded(client)
    client.clock.advance(301)
    client.settle()
    assert client.hotspot.host(MAC, IP) is None


def test_logins_are_checked_and_limited(client: Router) -> None:
    """Point 34."""
    hotspot = client.hotspot
    hotspot.users.add(
        {"name": "u", "password": "p", "limit-uptime": "1h", "profile": "*1"}
    )
    assert not forwarded(client)
    with pytest.raises(Trap, match="invalid username or password"):
        hotspot.log_in(host(client), "u", "wrong")
    hotspot.log_in(host(client), "u", "p")
    client.network.move_in("AA:BB:CC:00:00:02", "10.5.50.10")
    client.network.packet("AA:BB:CC:00:00:02")
    second = hotspot.host("AA:BB:CC:00:00:02", "10.5.50.10")
    assert second is not None
    with pytest.raises(Trap, match="no more sessions are allowed for user u"):
        hotspot.log_in(second, "u", "p")
    client.clock.advance(3601)
    client.settle()
    assert not hotspot.active.rows, "the limit has ended the session"
    assert not forwarded(client)
    with pytest.raises(Trap, match="user u has reached uptime limit"):
        hotspot.log_in(host(client), "u", "p")


def test_access_by_address_list() -> None:
    """Reference 5.5: by address, new connections only."""
    router = Router(RouterOptions("r1", access="list"))
    router.up = True
    router.network.move_in(MAC, IP)
    lists = router.tables["/ip/firewall/address-list"]
    assert not forwarded(router)
    bind(router)
    router.hotspot.hosts.remove(host(router))
    assert not forwarded(router), "a binding does not count here"
    row = lists.add({"list": "paid_clients", "address": IP})
    assert forwarded(router, "film")
    lists.set(row, {"disabled": "true"})
    assert not forwarded(router)
    assert forwarded(router, "film")
    lists.add({"list": "paid_clients", "address": "10.5.50.0/24"})
    assert forwarded(router)


def test_a_client_that_changes_its_address_is_another_host(
    client: Router,
) -> None:
    bind(client, address=IP)
    assert forwarded(client)
    client.network.move_in(MAC, "10.5.50.77")
    assert not forwarded(client)
    assert len(client.hotspot.hosts.rows) == 2
    client.network.move_in(MAC, "10.5.50.78")
    assert not forwarded(client)
    assert len(client.hotspot.hosts.rows) == 2, "addresses-per-mac"


def test_without_a_server_nobody_is_held_back(client: Router) -> None:
    client.hotspot.servers.set(
        next(iter(client.hotspot.servers.rows.values())), {"disabled": "true"}
    )
    assert forwarded(client)


def pooled(**options: str) -> Router:
    made = Router(
        RouterOptions("r1", address_pool="10.9.0.10-10.9.0.11", **options)  # type: ignore[arg-type]
    )
    made.up = True
    return made


def test_with_a_pool_each_client_has_an_address_that_the_firewall_sees() -> (
    None
):
    """Reference 5.1: 1:1 NAT from the client's address to `to-address`; two clients may have one own address."""
    router = pooled()
    router.network.move_in(MAC, IP)
    router.network.move_in("AA:BB:CC:00:00:02", IP)
    bind(router)
    assert forwarded(router, "video")
    assert not router.network.packet("AA:BB:CC:00:00:02").forwarded
    hosts = router.show("/ip/hotspot/host")
    assert [(row["address"], row["to-address"]) for row in hosts] == [
        (IP, "10.9.0.10"),
        (IP, "10.9.0.11"),
    ]
    (connection,) = router.show("/ip/firewall/connection")
    assert connection["src-address"].startswith("10.9.0.10:")


def test_with_a_pool_a_list_row_counts_by_the_address_that_the_firewall_sees() -> (
    None
):
    router = pooled(access="list")
    router.network.move_in(MAC, IP)
    lists = router.tables["/ip/firewall/address-list"]
    row = lists.add({"list": "paid_clients", "address": IP})
    assert not forwarded(router)
    lists.remove(row)
    lists.add({"list": "paid_clients", "address": "10.9.0.10"})
    assert forwarded(router)


def test_a_client_whose_mac_is_a_user_is_logged_in_again_and_again(
    client: Router,
) -> None:
    """Reference 4.3: `login-by=mac`, with the MAC as the name."""
    profiles = client.tables["/ip/hotspot/profile"]
    profiles.set(
        next(iter(profiles.rows.values())), {"login-by": "mac,http-chap"}
    )
    assert not forwarded(client)
    client.tables["/ip/hotspot/user"].add({"name": MAC})
    assert forwarded(client)
    (active,) = client.hotspot.active.rows.values()
    assert active.values["login-by"] == "mac"
    for cookie in list(client.hotspot.cookies.rows.values()):
        client.hotspot.cookies.remove(cookie)
    client.hotspot.active.remove(active)
    assert forwarded(client)


def test_a_profile_puts_who_is_logged_in_into_a_list(client: Router) -> None:
    """Reference 5.5: the entry is dynamic, and goes with the login."""
    profiles = client.tables["/ip/hotspot/user/profile"]
    profiles.set(
        next(iter(profiles.rows.values())), {"address-list": "paid_clients"}
    )
    client.tables["/ip/hotspot/user"].add({"name": "guest"})
    assert not forwarded(client)
    active = client.hotspot.log_in(host(client), "guest", None)
    (listed,) = client.show("/ip/firewall/address-list")
    assert (listed["address"], listed["dynamic"]) == (IP, "true")
    client.hotspot.active.remove(active)
    assert client.show("/ip/firewall/address-list") == []
