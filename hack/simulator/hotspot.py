"""What a hotspot server does with a client: host rows, bindings, logins,
cookies.

A binding acts when a host row is made; the row keeps that treatment until it
is removed. Knows nothing of the API; packets come from `network.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Protocol

from simulator import computed
from simulator.clock import Clock, Deadlines
from simulator.errors import Trap
from simulator.options import LICENSED_USERS, RouterOptions
from simulator.row import Row
from simulator.table import Event, Table
from simulator.values import address_span, parse_duration

COOKIE_LIFETIME = 3 * 86400.0
BAD_LOGIN = "invalid username or password"


def first_match(
    bindings: list[dict[str, str]], mac: str, address: str, server: str
) -> dict[str, str] | None:
    """Return the first enabled binding, in order, that fits the client: by
    MAC, address (or range), and server.

    A binding that names neither a MAC nor an address fits nobody.
    """
    number = address_span(address)[0]
    for row in bindings:
        own_mac, own_address = row.get("mac-address"), row.get("address")
        if row.get("disabled") == "true" or row.get("server", "all") not in {
            "all",
            server,
        }:
            continue
        if own_mac is None and own_address is None:
            continue
        if own_mac is not None and own_mac != mac:
            continue
        if own_address is not None:
            first, last = address_span(own_address)
            if not first <= number <= last:
                continue
        return row
    return None


class Pool:
    """Addresses that clients get by 1:1 NAT; each MAC keeps the first one it
    got.
    """

    def __init__(self, span: str) -> None:
        self._free: Iterator[str] = iter(())
        self._taken: dict[str, str] = {}
        if span:
            first, last = (IPv4Address(part) for part in span.split("-"))
            self._free = (
                str(IPv4Address(number))
                for number in range(int(first), int(last) + 1)
            )

    def take(self, mac: str) -> str | None:
        """Return the address of a client; None without a pool, or when it is
        used up.
        """
        if mac not in self._taken:
            address = next(self._free, None)
            if address is None:
                return None
            self._taken[mac] = address
        return self._taken[mac]


class HotspotRouter(Protocol):
    """The part of the router that its hotspot needs."""

    options: RouterOptions
    clock: Clock
    deadlines: Deadlines
    tables: dict[str, Table]


class Hotspot:
    """Host, active and cookie rows of one router and how they follow each
    other.
    """

    def __init__(self, router: HotspotRouter) -> None:
        self.router = router
        self.servers = router.tables["/ip/hotspot"]
        self.bindings = router.tables["/ip/hotspot/ip-binding"]
        self.hosts = router.tables["/ip/hotspot/host"]
        self.active = router.tables["/ip/hotspot/active"]
        self.cookies = router.tables["/ip/hotspot/cookie"]
        self.users = router.tables["/ip/hotspot/user"]
        self.profiles = router.tables["/ip/hotspot/user/profile"]
        self.lists = router.tables["/ip/firewall/address-list"]
        self._listed: dict[
            str, Row
        ] = {}  # by host id: the dynamic list row of its login
        self._host_ids: dict[tuple[str, str], str] = {}
        self._pool = Pool(router.options.address_pool)
        self.hosts.subscribe(self._host_event)
        self.active.subscribe(self._active_event)

    def server(self) -> Row | None:
        """Return the server the clients are behind: the first enabled one."""
        return next(
            (
                s
                for s in self.servers.rows.values()
                if s.values["disabled"] == "false"
            ),
            None,
        )

    def host(self, mac: str, address: str) -> Row | None:
        """Return the host row of a client."""
        return self.hosts.rows.get(self._host_ids.get((mac, address), ""))

    def host_by_address(self, address: str) -> Row | None:
        """Return the newest host row with this address."""
        rows = [
            row
            for row in self.hosts.rows.values()
            if row.values["address"] == address
        ]
        return rows[-1] if rows else None

    def arrive(
        self, mac: str, address: str, found_by: str = "UDP traffic"
    ) -> Row | None:
        """Return the host row of the client a packet came from, made now when
        there is none; None without a server.
        """
        server = self.server()
        if server is None:
            return None
        now = self.router.clock.now()
        row = self.host(mac, address) or self._new_host(
            mac, address, server, found_by
        )
        row.hidden["seen"] = now
        idle = server.values["idle-timeout"]
        if idle != "none":
            row.hidden["expires"] = now + parse_duration(idle)
            self.router.deadlines.watch(self.hosts, row)
        if (
            row.values["authorized"] == "false"
            and row.values["bypassed"] == "false"
        ):
            self._log_in_by_cookie(row)
        if (
            row.values["authorized"] == "false"
            and row.values["bypassed"] == "false"
        ):
            self._log_in_by_mac(row, server)
        return row

    def _new_host(
        self, mac: str, address: str, server: Row, found_by: str
    ) -> Row:
        bindings = [row.values for row in self.bindings.rows.values()]
        binding = first_match(bindings, mac, address, server.id) or {}
        kind = binding.get("type", "regular")
        self._make_room(mac, server)
        now = self.router.clock.now()
        values = {
            "mac-address": mac,
            "address": address,
            "to-address": binding.get("to-address")
            or self._pool.take(mac)
            or address,
            "server": server.id,
            "found-by": found_by,
            "idle-timeout": server.values["idle-timeout"],
            "authorized": "false",
            "bypassed": "true" if kind == "bypassed" else "false",
            "DHCP": "true" if found_by == "DHCP" else "false",
            "static": "false",
            "dynamic": "true",
        }
        if kind == "blocked":
            values["blocked"] = "true"
        return self.hosts.add(values, hidden={"created": now, "seen": now})

    def _make_room(self, mac: str, server: Row) -> None:
        limit = server.values["addresses-per-mac"]
        rows = [
            row
            for row in self.hosts.rows.values()
            if row.values["mac-address"] == mac
        ]
        if limit != "unlimited" and len(rows) >= int(limit):
            self.hosts.remove(
                min(rows, key=lambda row: float(row.hidden["seen"]))
            )

    def log_in(
        self,
        host: Row,
        user: str,
        password: str | None,
        login_by: str = "http-chap",
    ) -> Row:
        """Log a host in and return its active row.

        `password` None takes the login for right (a portal that has checked
        it). Raises Trap with RouterOS' own text when it is refused.
        """
        account = self.users.find(user)
        if password is not None:
            self._check_account(account, host, password)
        self._check_shared(account, user, host.values["mac-address"])
        self._check_license(host)
        for old in self._active_of(host):
            self.active.remove(old)
        now = self.router.clock.now()
        hidden: dict[str, float] = {"created": now, "seen": now}
        limit = computed.limit_of(account) if account else None
        if account is not None and limit is not None:
            used: float = account.hidden.get("used", 0.0)
            if used + self.running_time(user) >= limit:
                raise Trap(f"user {user} has reached uptime limit")
            hidden["limit"] = hidden["expires"] = now + limit - used
        values = {
            name: host.values[name]
            for name in ("address", "mac-address", "server")
        }
        values |= {
            "user": user,
            "login-by": login_by,
            "radius": "false",
            "blocked": "false",
        }
        self._mark(host, authorized=True)
        row = self.active.add(values, hidden=hidden)
        self._list_while_logged_in(host, user)
        if "expires" in hidden:
            self.router.deadlines.watch(self.active, row)
        self._leave_cookie(
            user, host.values["mac-address"], checked=password is not None
        )
        return row

    def _check_account(
        self, account: Row | None, host: Row, password: str
    ) -> None:
        if account is None or account.values["disabled"] == "true":
            raise Trap(BAD_LOGIN)
        if account.values.get("password", "") != password:
            raise Trap(BAD_LOGIN)
        if (
            account.values.get("mac-address", host.values["mac-address"])
            != host.values["mac-address"]
        ):
            raise Trap("wrong MAC provided")

    def _check_shared(self, account: Row | None, user: str, mac: str) -> None:
        if account is None:
            return
        profile = self.profiles.find(account.values["profile"])
        shared = profile.values["shared-users"] if profile else "1"
        others = [
            row
            for row in self.active.rows.values()
            if row.values["user"] == user and row.values["mac-address"] != mac
        ]
        if shared != "unlimited" and len(others) >= int(shared):
            raise Trap(f"no more sessions are allowed for user {user}")

    def _check_license(self, host: Row) -> None:
        level = self.router.options.license_level
        others = len(self.active.rows) - len(self._active_of(host))
        if others >= LICENSED_USERS[level]:
            raise Trap(f"session limit reached ({others})")

    def running_time(self, user: str) -> float:
        """Return the seconds of the sessions of a user that run now."""
        now = self.router.clock.now()
        return sum(
            now - float(row.hidden["created"])
            for row in self.active.rows.values()
            if row.values["user"] == user
        )

    def _leave_cookie(self, user: str, mac: str, *, checked: bool) -> None:
        profile = self._profile_of(user)
        asks = profile is None or profile.values["add-mac-cookie"] == "true"
        if not self.router.options.cookies or not asks:
            return
        for row in [
            row
            for row in self.cookies.rows.values()
            if row.values["mac-address"] == mac
        ]:
            self.cookies.remove(row)
        span = profile.values.get("mac-cookie-timeout", "") if profile else ""
        lifetime = COOKIE_LIFETIME
        if span not in {"", "none"}:
            lifetime = parse_duration(span)
        hidden = {
            "expires": self.router.clock.now() + lifetime,
            "checked": checked,
        }
        values = {"user": user, "mac-address": mac, "mac-cookie": "true"}
        self.router.deadlines.watch(
            self.cookies, self.cookies.add(values, hidden=hidden)
        )

    def _log_in_by_cookie(self, host: Row) -> None:
        mac = host.values["mac-address"]
        cookie = next(
            (
                c
                for c in self.cookies.rows.values()
                if c.values["mac-address"] == mac
            ),
            None,
        )
        if cookie is None or host.values.get("blocked") == "true":
            return
        user = cookie.values["user"]
        account = self.users.find(user)
        if cookie.hidden["checked"] and (
            account is None or account.values["disabled"] == "true"
        ):
            self.cookies.remove(cookie)
            return
        password = (
            account.values.get("password", "")
            if account and cookie.hidden["checked"]
            else None
        )
        try:
            self.log_in(host, user, password, "mac-cookie")
        except Trap:
            return

    def _log_in_by_mac(self, host: Row, server: Row) -> None:
        """Log a client in without a question when the profile says `mac` and
        its MAC is a user's name (4.3).
        """
        profile = self.router.tables["/ip/hotspot/profile"].find(
            server.values["profile"]
        )
        ways = profile.values["login-by"].split(",") if profile else []
        mac = host.values["mac-address"]
        account = self.users.find(mac)
        if (
            "mac" not in ways
            or account is None
            or account.values["disabled"] == "true"
        ):
            return
        if host.values.get("blocked") == "true":
            return
        try:
            self.log_in(host, mac, None, "mac")
        except Trap:
            return

    def _list_while_logged_in(self, host: Row, user: str) -> None:
        """Add the dynamic address-list row that a user's profile asks for
        (5.5).
        """
        profile = self._profile_of(user)
        name = profile.values["address-list"] if profile else ""
        address = host.values["to-address"]
        if name and self.lists.holder(0, (name, address)) is None:
            values = {"list": name, "address": address, "dynamic": "true"}
            self._listed[host.id] = self.lists.add(values, locked=True)

    def _profile_of(self, user: str) -> Row | None:
        """Return the profile of a user; None where there is no such user."""
        account = self.users.find(user)
        if account is None:
            return None
        return self.profiles.find(account.values["profile"])

    def _active_of(self, host: Row) -> list[Row]:
        client = host.values["mac-address"], host.values["address"]
        return [
            row
            for row in self.active.rows.values()
            if (row.values["mac-address"], row.values["address"]) == client
        ]

    def _mark(self, host: Row, *, authorized: bool) -> None:
        self.hosts.set(host, {"authorized": "true" if authorized else "false"})

    def _host_event(self, event: Event, row: Row) -> None:
        client = row.values["mac-address"], row.values["address"]
        if event == "add":
            self._host_ids[client] = row.id
        elif event == "remove":
            if self._host_ids.get(client) == row.id:
                del self._host_ids[client]
            for active in self._active_of(row):
                self.active.remove(active)

    def _active_event(self, event: Event, row: Row) -> None:
        if event != "remove":
            return
        account = self.users.find(row.values["user"])
        if account is not None:
            spent = self.router.clock.now() - float(row.hidden["created"])
            account.hidden["used"] = account.hidden.get("used", 0.0) + spent
        host = self.host(row.values["mac-address"], row.values["address"])
        listed = self._listed.pop(host.id, None) if host is not None else None
        if listed is not None and listed.id in self.lists.rows:
            self.lists.remove(listed)
        if host is not None and host.values["authorized"] == "true":
            self._mark(host, authorized=False)

    def forget(self) -> None:
        """Lose what a reboot loses beside the tables."""
        self._host_ids.clear()
