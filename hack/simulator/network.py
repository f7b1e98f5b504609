"""The clients behind a router and their packets: whether a packet is
forwarded, and connection tracking.

A packet is forwarded when it belongs to a tracked connection whose row is
still there, or when the router grants a new connection: by the client's host
row (bypassed or authorized), or, with `access=list`, by an enabled
address-list entry. A host that is blocked gets nothing through. The firewall
and connection tracking see the `to-address` of a host, which differs from the
client's own where there is an address pool. Tracked connections outlive
bindings and host rows.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

from simulator.hotspot import Hotspot, HotspotRouter
from simulator.network_ipv6 import PhonesIpv6
from simulator.row import Row
from simulator.table import Event
from simulator.values import Address, Mac, address_span

SHORT_CONNECTIONS = 64
"""Rows kept for packets without a flow name; the oldest makes room for the
newest.
"""

SHORT_TIMEOUT = 10.0
ESTABLISHED_TIMEOUT = 86400.0
SERVER = "203.0.113.10"
PACKET_BYTES = 1200


@dataclass(frozen=True)
class Verdict:
    """What became of a packet and why."""

    forwarded: bool
    reason: str


@dataclass
class Client:
    """A device in the router's network."""

    mac: str
    ip: str


class NetworkRouter(HotspotRouter, Protocol):
    """The part of the router that the network behind it needs."""

    up: bool
    hotspot: Hotspot

    def settle(self) -> None:
        """Let happen what the clock has made due."""


class Network:
    """Clients of one router; they are the world around it and survive its
    reboots.
    """

    def __init__(self, router: NetworkRouter) -> None:
        self.router = router
        self.ipv6 = PhonesIpv6(router)
        self.clients: dict[str, Client] = {}
        self.connections = router.tables["/ip/firewall/connection"]
        self._flows: dict[tuple[str, str, str], str] = {}
        self._short: deque[Row] = deque()
        self._arp: dict[str, Row] = {}
        self._port = 40000
        self.connections.subscribe(self._connection_event)

    def move_in(self, mac: str, ip: str, *, dhcp: bool = False) -> Client:
        """Put a client there, or give it another address; no packet yet unless
        it asks DHCP. Raises Trap.
        """
        client = Client(Mac().parse("mac", mac), Address().parse("ip", ip))
        self.clients[client.mac] = client
        if dhcp and self.router.up:
            self.router.hotspot.arrive(client.mac, client.ip, "DHCP")
        return client

    def move_out(self, mac: str) -> Client:
        """Take the client away; its rows stay. Raises KeyError."""
        return self.clients.pop(Mac().parse("mac", mac))

    def client(self, mac: str) -> Client:
        """Return the client with this MAC. Raises KeyError."""
        return self.clients[Mac().parse("mac", mac)]

    def packet(self, mac: str, flow: str | None = None) -> Verdict:
        """Send one packet of the client to the internet. Raises KeyError for
        an unknown client.
        """
        client = self.client(mac)
        if not self.router.up:
            return Verdict(False, "the router is down")
        self.router.settle()
        host = self.router.hotspot.arrive(client.mac, client.ip)
        self._learn_arp(client)
        if host is not None and host.values.get("blocked") == "true":
            return Verdict(False, "dropped: the host is blocked")
        tracked = self._tracked(client, flow)
        if tracked is not None:
            self._count(tracked, host, client)
            return Verdict(True, "established connection")
        verdict = self._new_connection(host)
        if verdict.forwarded:
            self._count(self._track(client, flow, host), host, client)
        return verdict

    def packet_ipv6(self, mac: str) -> Verdict:
        """Send one IPv6 packet of the client to a web server of the internet,
        through the interface of its hotspot. Raises KeyError for an unknown
        client.
        """
        self.client(mac)
        if not self.router.up:
            return Verdict(False, "the router is down")
        server = self.router.hotspot.server()
        interface = server.values["interface"] if server else "bridge"
        if not self.ipv6.addresses(interface):
            return Verdict(False, "no IPv6 address and gateway")
        if self.ipv6.passes(interface):
            return Verdict(True, "forwarded: the hotspot is for IPv4 only")
        return Verdict(False, "the IPv6 firewall or the routing stops it")

    def tunnel(
        self, public_key: str, endpoint: str, *, received: int, sent: int
    ) -> None:
        """Shake hands with a WireGuard peer and exchange bytes with it.

        `endpoint` is the address and port that the peer came from. Raises
        KeyError for an unknown key.
        """
        peers = self.router.tables["/interface/wireguard/peers"]
        row = peers.holder(0, public_key)
        if row is None:
            raise KeyError(public_key)
        address, _, port = endpoint.rpartition(":")
        hidden = row.hidden
        hidden["handshake"] = self.router.clock.now()
        hidden["address"], hidden["port"] = address, port
        hidden["rx"] = hidden.get("rx", 0) + received
        hidden["tx"] = hidden.get("tx", 0) + sent

    def _new_connection(self, host: Row | None) -> Verdict:
        if host is None:
            return Verdict(True, "no hotspot server")
        options = self.router.options
        if options.access == "list":
            listed = self._listed(
                options.access_list, host.values["to-address"]
            )
            return Verdict(
                listed,
                f"{'in' if listed else 'not in'} address-list {options.access_list}",
            )
        if host.values["bypassed"] == "true":
            return Verdict(True, "host is bypassed")
        if host.values["authorized"] == "true":
            return Verdict(True, "host is authorized")
        return Verdict(False, "rejected: the host is not authorized")

    def _listed(self, name: str, ip: str) -> bool:
        table = self.router.tables["/ip/firewall/address-list"]
        if table.holder(0, (name, ip)) is not None:
            return True
        number = address_span(ip)[0]
        for row in table.rows.values():
            address = row.values["address"]
            if row.values["list"] != name or row.values["disabled"] == "true":
                continue
            if ("/" in address or "-" in address) and not address[0].isalpha():
                first, last = address_span(address)
                if first <= number <= last:
                    return True
        return False

    def _tracked(self, client: Client, flow: str | None) -> Row | None:
        if flow is None:
            return None
        return self.connections.rows.get(
            self._flows.get((client.mac, client.ip, flow), "")
        )

    def _track(
        self, client: Client, flow: str | None, host: Row | None
    ) -> Row:
        address = host.values["to-address"] if host is not None else client.ip
        now = self.router.clock.now()
        while len(self._short) >= SHORT_CONNECTIONS:
            self.connections.remove(self._short[0])
        source = f"{address}:{self._source_port(client, flow)}"
        values = {
            "protocol": "tcp",
            "src-address": source,
            "dst-address": f"{SERVER}:443",
            "reply-src-address": f"{SERVER}:443",
            "reply-dst-address": source,
            "tcp-state": "established" if flow else "syn-received",
            "confirmed": "true",
            "seen-reply": "true",
            "assured": "true" if flow else "false",
        }
        life = ESTABLISHED_TIMEOUT if flow else SHORT_TIMEOUT
        hidden: dict[str, object] = {
            "created": now,
            "seen": now,
            "expires": now + life,
        }
        if flow is not None:
            hidden["flow"] = (client.mac, client.ip, flow)
        row = self.connections.add(values, hidden=hidden)
        if flow is None:
            self.router.deadlines.watch(self.connections, row)
        return row

    def _source_port(self, client: Client, flow: str | None) -> int:
        if flow is not None:
            return 1024 + crc32(f"{client.mac} {flow}".encode()) % 30000
        self._port = self._port + 1 if self._port < 60000 else 40000
        return self._port

    def _count(
        self, connection: Row, host: Row | None, client: Client
    ) -> None:
        now = self.router.clock.now()
        if "flow" in connection.hidden:
            connection.hidden["expires"] = now + ESTABLISHED_TIMEOUT
        rows = [connection]
        if host is not None:
            rows.append(host)
            if host.values["authorized"] == "true":
                active = self.router.hotspot.active.rows.values()
                rows += [
                    row
                    for row in active
                    if row.values["mac-address"] == client.mac
                ]
        for row in rows:
            row.hidden["seen"] = now
            for way in ("in", "out"):
                row.hidden[f"packets-{way}"] = (
                    row.hidden.get(f"packets-{way}", 0) + 1
                )
                row.hidden[f"bytes-{way}"] = (
                    row.hidden.get(f"bytes-{way}", 0) + PACKET_BYTES
                )

    def _learn_arp(self, client: Client) -> None:
        table = self.router.tables["/ip/arp"]
        known = self._arp.get(client.mac)
        if known is not None:
            if known.values["address"] == client.ip:
                return
            table.remove(known)
        self._arp[client.mac] = table.add(
            {
                "address": client.ip,
                "mac-address": client.mac,
                "interface": "bridge",
                "complete": "true",
                "dynamic": "true",
                "status": "reachable",
            },
            locked=True,
        )

    def _connection_event(self, event: Event, row: Row) -> None:
        flow = row.hidden.get("flow")
        if event == "add":
            if flow is None:
                self._short.append(row)
            else:
                self._flows[flow] = row.id
        elif event == "remove":
            if flow is None:
                self._short.remove(row)
            elif self._flows.get(flow) == row.id:
                del self._flows[flow]

    def forget(self) -> None:
        """Lose the connection tracking, as a reboot does."""
        self._flows.clear()
        self._short.clear()
        self._arp.clear()
