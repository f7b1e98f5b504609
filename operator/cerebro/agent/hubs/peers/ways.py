"""Which networks of Peers may be routed into the tunnel, and whose each is
(rules E5, E17). Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from cerebro.wireguard.model import ActualPeer, Endpoint
from cerebro.wireguard.networks import Span, span

UNREADABLE = "a Peer that cannot be read"

_ENDPOINT = "the endpoint of a peer of this Hub"


def _no_endpoints() -> Iterable[Endpoint]:
    return ()


class Ways:
    """Addresses that the node reaches outside of the tunnel.

    `places` says by address what is there. `endpoints` gives those of the
    peers: it is called, and all are sorted, only if a network is asked about.
    """

    def __init__(
        self,
        places: Mapping[str, str],
        endpoints: Callable[[], Iterable[Endpoint]] = _no_endpoints,
    ) -> None:
        self._places = places
        self._endpoints = endpoints
        self._sorted: list[tuple[int, int, str]] | None = None
        """Version, number and text of each address."""

    def within(self, network: Span) -> str | None:
        """Return the first of these addresses that lies in a network, with
        what is there.
        """
        addresses = self._addresses()
        start = bisect_left(addresses, (network.version, network.first, ""))
        if start == len(addresses):
            return None

        version, number, text = addresses[start]

        if version != network.version or number > network.last:
            return None

        return f"{text} ({self._places.get(text, _ENDPOINT)})"

    def _addresses(self) -> list[tuple[int, int, str]]:
        if self._sorted is None:
            texts = {host for host, _ in self._endpoints()}
            texts.update(self._places)

            self._sorted = []
            for text in texts:
                with suppress(ValueError):  # a text that is no address
                    address = span(text)
                    self._sorted.append((address.version, address.first, text))

            self._sorted.sort()

        return self._sorted


class NetworkOwners:
    """Networks, each with its owner. Networks of different owners never
    overlap.

    They are kept sorted and disjoint, so the neighbours of a network show
    every conflict.

    Default routes are kept apart: any more precise network wins over them, so
    only equal ones conflict. Half of a default route (0.0.0.0/1) is a network
    like any other: if it is an administrator's, it must not hold the address
    of a Device (rule D3).
    """

    def __init__(self, node_networks: Mapping[Span, str], ways: Ways) -> None:
        self._node_networks = node_networks
        self._ways = ways
        self._spans: dict[int, list[tuple[int, int, str]]] = {4: [], 6: []}
        """First address, last address and owner, by version, sorted."""
        self._default_routes: dict[str, str] = {}

    def of_node(self, network: Span) -> str | None:
        """Return which network of the node a route to `network` would take,
        with its place; None if it takes none.

        A network that is wider than the node's takes nothing: the more precise
        route wins.
        """
        for node_network, place in self._node_networks.items():
            if network.within(node_network):
                return f"{node_network.text} of {place}"

        return None

    def way_within(self, network: Span) -> str | None:
        """Return which address that the node needs outside of the tunnel lies
        in a network that would get a route; None if there is none (rule E17).

        A default route is never made.
        """
        return None if network.takes_all else self._ways.within(network)

    def take_frozen(self, peers: Iterable[ActualPeer]) -> None:
        """Give the networks of peers on the interface to Peers that cannot be
        read (rule B9).
        """
        for peer in peers:
            for text in peer.allowed_ips:
                self.take(span(text), UNREADABLE)

    def take(self, network: Span, owner: str) -> str | None:
        """Give the network to the owner and return None; if it overlaps
        another owner's, return that owner.
        """

        if not network.prefix:
            holder = self._default_routes.setdefault(network.text, owner)
            return holder if holder != owner else None

        # Find the span before, if it reaches into this network, and all that
        # begin within it.
        spans = self._spans[network.version]
        start = bisect_left(spans, (network.first,))
        if start and spans[start - 1][1] >= network.first:
            start -= 1

        end = start
        while end < len(spans) and spans[end][0] <= network.last:
            if spans[end][2] != owner:
                return spans[end][2]

            end += 1

        # All of them are the same owner's: one span takes their place.
        overlapping = spans[start:end]
        first = min([network.first, *(overlap[0] for overlap in overlapping)])
        last = max([network.last, *(overlap[1] for overlap in overlapping)])
        spans[start:end] = [(first, last, owner)]

        return None
