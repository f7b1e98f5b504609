"""Handshakes and traffic of the peers, as metrics.

They are computed from the last look at each interface whenever somebody
scrapes; nothing is kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from cerebro.wireguard.model import ActualPeer

_LABELS = ("namespace", "hub", "peer")


@dataclass(frozen=True, slots=True)
class PeerReading:
    """What was last seen of one Peer on the interface."""

    namespace: str

    hub: str

    peer: str
    """The name of the Peer, not its key."""

    actual: ActualPeer

    @property
    def labels(self) -> tuple[str, str, str]:
        """The values of the labels, in the order of the labels' names."""
        return self.namespace, self.hub, self.peer


class PeerCollector(Collector):
    """Metrics of each Peer; `readings` returns those of all Hubs that this
    agent carries.
    """

    def __init__(self, readings: Callable[[], Iterable[PeerReading]]) -> None:
        self._readings = readings

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the metrics are named when they are collected."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield what the last look showed; a peer that never connected has no
        handshake.
        """

        handshake = GaugeMetricFamily(
            "cerebro_peer_last_handshake_seconds",
            "Unix time of a Peer's last handshake.",
            labels=_LABELS,
        )

        received = CounterMetricFamily(
            "cerebro_peer_receive_bytes",
            "Bytes received from a Peer since it is on the interface.",
            labels=_LABELS,
        )

        sent = CounterMetricFamily(
            "cerebro_peer_transmit_bytes",
            "Bytes sent to a Peer since it is on the interface.",
            labels=_LABELS,
        )

        for reading in self._readings():
            peer = reading.actual
            if peer.last_handshake:
                handshake.add_metric(reading.labels, peer.last_handshake)

            received.add_metric(reading.labels, peer.rx_bytes)
            sent.add_metric(reading.labels, peer.tx_bytes)

        yield from (handshake, received, sent)
