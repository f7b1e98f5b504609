"""Tunnel addresses of one Hub: who holds which, and which free address a
Device gets (rule E9). Pure.

The search starts at a hash of namespace and name. It goes on in steps of a
second hash that has no common factor with the size of the pool, so it meets
each address once, and a row of held addresses does not slow it down. It ends
after as many steps as addresses are held, however large the pool is. No pool
is ever listed.

This module knows neither objects nor the store: `index` fills the books,
`plan` decides who may keep what.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple


class Address(NamedTuple):
    """An IP address as numbers, so that the addresses of ten thousand Devices
    are compared without parsing.
    """

    version: int
    """4 or 6."""

    number: int

    def __str__(self) -> str:
        """Return its canonical form: `10.64.0.2`, `fd00::2`."""
        if self.version == 4:
            return str(ipaddress.IPv4Address(self.number))

        return str(ipaddress.IPv6Address(self.number))

    def network(self) -> str:
        """Return the network of this address alone: `10.64.0.2/32`,
        `fd00::2/128`.
        """
        length = 32 if self.version == 4 else 128

        return f"{self}/{length}"


class Holder(NamedTuple):
    """Who holds an address: an object in the Hub's namespace."""

    kind: str
    """Hub, Device or Peer; Promise for an address that a Device gets and does
    not have in its status yet.
    """

    name: str
    """Name of the object; for a Promise, of the Device."""


@dataclass(frozen=True)
class Pool:
    """The addresses of one network that a Device may have: all but those of
    the network and the broadcast.
    """

    version: int

    first: int

    size: int

    @classmethod
    def of(cls, interface_address: str) -> Pool:
        """Return the pool of a Hub's address such as `10.64.0.1/16`. Raises
        ValueError if the text is none.

        The first address of an IPv6 network is the anycast address of its
        routers and left out. Networks of two addresses or of one have neither
        that nor a broadcast (RFC 3021, RFC 6164): there all may be used.
        """

        network = ipaddress.ip_interface(interface_address).network
        first = int(network.network_address)
        size = network.num_addresses
        if size <= 2:
            return cls(network.version, first, size)

        reserved = 2 if network.version == 4 else 1  # IPv6 has no broadcast

        return cls(network.version, first + 1, size - reserved)

    def __contains__(self, address: Address) -> bool:
        return (
            self.version == address.version
            and 0 <= address.number - self.first < self.size
        )


@lru_cache(maxsize=1 << 16)
def read_address(text: str) -> Address | None:
    """Return the address that a text such as `10.64.0.2` or `10.64.0.2/32`
    names; None for anything else.
    """
    host, slash, length = text.partition("/")
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return None

    wider_than_one = slash and length != str(parsed.max_prefixlen)

    return None if wider_than_one else Address(parsed.version, int(parsed))


def read_addresses(texts: Iterable[str | None]) -> frozenset[Address]:
    """Return the addresses that the texts name; what is no address, or a
    network of several, is left out.
    """
    addresses = (read_address(text) for text in texts if text)

    return frozenset(address for address in addresses if address is not None)


class AddressBook:
    """Who holds which addresses of a Hub. Its size is that of the number of
    holders, not of the pools.
    """

    def __init__(self) -> None:
        self.own: frozenset[Address] = frozenset()
        """The Hub's own addresses."""

        self._pools: tuple[Pool, ...] = ()
        self._used: list[int] = []
        """How many addresses of each pool somebody holds, in the order of the
        pools.
        """

        self._holders: dict[Address, set[Holder]] = {}
        """Several may hold the same address: `plan` decides who keeps it."""
        self._held: dict[Holder, frozenset[Address]] = {}

    @property
    def empty(self) -> bool:
        """Whether nobody holds an address and the Hub has none, or does not
        exist.
        """
        return not self._pools and not self._held

    def set_hub(self, hub: str, interface_addresses: Collection[str]) -> None:
        """Replace the pools by the networks of the Hub's addresses, in their
        order, and its own addresses by them.

        An empty collection stands for a Hub that does not exist.
        """
        self._pools = tuple(
            dict.fromkeys(Pool.of(text) for text in interface_addresses)
        )

        self._used = [
            sum(address in pool for address in self._holders)
            for pool in self._pools
        ]

        self.own = read_addresses(
            text.partition("/")[0] for text in interface_addresses
        )

        self.hold(Holder("Hub", hub), self.own)

    def hold(self, holder: Holder, addresses: frozenset[Address]) -> bool:
        """Record what a holder has now, in place of what it had; return
        whether it gave an address up.
        """

        before = self._held.get(holder, frozenset())
        if before == addresses:
            return False

        for address in addresses - before:
            self._add(holder, address)

        for address in before - addresses:
            self._remove(holder, address)

        if addresses:
            self._held[holder] = addresses
        else:
            self._held.pop(holder, None)

        return not before <= addresses

    def _add(self, holder: Holder, address: Address) -> None:
        holders = self._holders.setdefault(address, set())
        if not holders:
            self._count(address, 1)

        holders.add(holder)

    def _remove(self, holder: Holder, address: Address) -> None:
        holders = self._holders[address]
        holders.discard(holder)

        if not holders:
            del self._holders[address]
            self._count(address, -1)

    def _count(self, address: Address, change: int) -> None:
        for index, pool in enumerate(self._pools):
            if address in pool:
                self._used[index] += change

    def holders(self, address: Address) -> Collection[Holder]:
        """Return all that hold an address."""
        return self._holders.get(address, ())

    def covers(self, address: Address) -> bool:
        """Return whether a Device of this Hub may have the address, if nobody
        holds it.
        """
        return any(address in pool for pool in self._pools)

    def free(self) -> int:
        """Return how many addresses nobody holds."""
        return sum(
            pool.size - used
            for pool, used in zip(self._pools, self._used, strict=True)
        )

    def find(self, namespace: str, name: str) -> Address | None:
        """Return the free address that the Device of that name gets; None if
        every network is full.

        The same name gets the same address as long as the same addresses are
        held. The address is not held by this.
        """

        digest = hashlib.sha256(f"{namespace}/{name}".encode()).digest()
        start = int.from_bytes(digest[:16])
        step = int.from_bytes(digest[16:])

        for pool, used in zip(self._pools, self._used, strict=True):
            if used < pool.size:
                return self._probe(pool, used, start, step)

        return None

    def _probe(self, pool: Pool, used: int, start: int, step: int) -> Address:
        """Return the first free address of a pool that is not full, from
        `start` on in steps of `step`.
        """
        # Without a common factor the steps meet every address before they meet
        # one twice.
        step = step % pool.size or 1
        while math.gcd(step, pool.size) != 1:
            step += 1

        for turn in range(used + 1):
            offset = (start + turn * step) % pool.size
            address = Address(pool.version, pool.first + offset)
            if address not in self._holders:
                return address

        raise AssertionError(f"{used} held addresses were met more than once")
