"""Tunnel addresses of one Hub: who holds which, and which free one a Device gets (rule E9). Pure.

The search starts at a hash of namespace and name and goes on in steps of a second hash that has no common
factor with the pool's size: it meets each address once, a row of taken addresses does not slow it down, and it
ends after as many steps as addresses are taken, however large the pool is. No pool is ever listed.
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
    """An IP address as numbers: those of ten thousand Devices are compared without parsing."""

    version: int
    number: int

    def __str__(self) -> str:
        """Write it in its canonical form."""
        return str(self._parsed())

    def network(self) -> str:
        """Write it as a network of its own: `10.64.0.2/32`, `fd00::2/128`."""
        return f"{self}/{32 if self.version == 4 else 128}"

    def _parsed(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        return ipaddress.IPv4Address(self.number) if self.version == 4 else ipaddress.IPv6Address(self.number)


class Holder(NamedTuple):
    """Who holds an address: an object by its kind and name, in the Hub's namespace."""

    kind: str
    name: str


@dataclass(frozen=True)
class Pool:
    """The addresses of one network that a Device may have: all but those of the network and the broadcast."""

    version: int
    first: int
    size: int

    @classmethod
    def of(cls, interface_address: str) -> Pool:
        """Give the pool of a Hub's address such as `10.64.0.1/16`. Raises ValueError when it is none.

        The first address of an IPv6 network is the routers' anycast address and left out; networks of two
        addresses or one have neither (RFC 3021, RFC 6164).
        """
        network = ipaddress.ip_interface(interface_address).network
        first, size = int(network.network_address), network.num_addresses
        if size > 2:
            first, size = first + 1, size - (2 if network.version == 4 else 1)
        return cls(network.version, first, size)

    def __contains__(self, address: Address) -> bool:
        return self.version == address.version and 0 <= address.number - self.first < self.size


@lru_cache(maxsize=1 << 16)
def read_address(text: str) -> Address | None:
    """Read an IP address, or a network of one address; None for anything else."""
    host, slash, length = text.partition("/")
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return None
    if slash and length != str(parsed.max_prefixlen):
        return None
    return Address(parsed.version, int(parsed))


def read_addresses(texts: Iterable[str | None]) -> frozenset[Address]:
    """Read those that are addresses, or networks of one address; others are left out."""
    return frozenset(address for text in texts if text and (address := read_address(text)) is not None)


class AddressBook:
    """Which addresses of a Hub are held by whom; as large as the number of holders."""

    def __init__(self) -> None:
        self.own: frozenset[Address] = frozenset()
        """The Hub's own addresses."""
        self._pools: tuple[Pool, ...] = ()
        self._used: list[int] = []
        self._holders: dict[Address, set[Holder]] = {}
        self._held: dict[Holder, frozenset[Address]] = {}

    @property
    def empty(self) -> bool:
        """Whether there is no Hub, or none with addresses, and no holder."""
        return not self._pools and not self._held

    def set_hub(self, hub: str, interface_addresses: Collection[str]) -> None:
        """Take the Hub's addresses as they are now: their networks, in their order, are the pools."""
        self._pools = tuple(dict.fromkeys(Pool.of(text) for text in interface_addresses))
        self._used = [sum(address in pool for address in self._holders) for pool in self._pools]
        self.own = read_addresses(text.partition("/")[0] for text in interface_addresses)
        self.hold(Holder("Hub", hub), self.own)

    def hold(self, holder: Holder, addresses: frozenset[Address]) -> bool:
        """Take what a holder has now, in place of what it had; True when it gave an address up."""
        before = self._held.get(holder, frozenset())
        if before == addresses:
            return False
        for address in addresses - before:
            holders = self._holders.setdefault(address, set())
            if not holders:
                self._count(address, 1)
            holders.add(holder)
        for address in before - addresses:
            self._holders[address].discard(holder)
            if not self._holders[address]:
                del self._holders[address]
                self._count(address, -1)
        if addresses:
            self._held[holder] = addresses
        else:
            self._held.pop(holder, None)
        return not before <= addresses

    def holders(self, address: Address) -> Collection[Holder]:
        """Give who holds an address."""
        return self._holders.get(address, ())

    def covers(self, address: Address) -> bool:
        """Say whether a Device of this Hub may have it, if nobody else has."""
        return any(address in pool for pool in self._pools)

    def free(self) -> int:
        """Give how many addresses nobody holds."""
        return sum(pool.size - used for pool, used in zip(self._pools, self._used, strict=True))

    def find(self, namespace: str, name: str) -> Address | None:
        """Find the free address that the Device of that name gets; None: every network is full.

        The same name finds the same address as long as the same addresses are held. Nothing is held by it.
        """
        digest = hashlib.sha256(f"{namespace}/{name}".encode()).digest()
        start, step = int.from_bytes(digest[:16]), int.from_bytes(digest[16:])
        for pool, used in zip(self._pools, self._used, strict=True):
            if used < pool.size:
                return self._probe(pool, used, start, step)
        return None

    def _probe(self, pool: Pool, used: int, start: int, step: int) -> Address:
        step = step % pool.size or 1
        while math.gcd(step, pool.size) != 1:
            step += 1
        for turn in range(used + 1):
            address = Address(pool.version, pool.first + (start + turn * step) % pool.size)
            if address not in self._holders:
                return address
        raise AssertionError(f"{used} held addresses were met more than once")

    def _count(self, address: Address, change: int) -> None:
        for index, pool in enumerate(self._pools):
            if address in pool:
                self._used[index] += change
