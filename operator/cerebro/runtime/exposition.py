"""The text that Prometheus reads, made without holding the event loop.

A page of metrics may have many thousand lines. The metrics of prometheus_client
bear to be read in a thread. Collectors of ours look at what the event loop
changes, so they are read there, and only made text in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

Labels = Mapping[str, str]


def collectors_of(registry: CollectorRegistry) -> list[Collector]:
    """Return what a registry has; only a private part of prometheus_client
    tells it.
    """
    return list(registry._collector_to_names)


def text_of(families: Iterable[Metric], labels: Labels) -> str:
    """Return families in Prometheus' text format, a line a sample; each sample
    also bears `labels`.

    When a counter was made is left out: nobody reads it, and it doubles the
    page.
    """
    return generate_latest(_Labelled(families, labels)).decode()


async def exposition(*registries: CollectorRegistry, labels: Labels) -> str:
    """Return all that these registries have as text; each sample also bears
    `labels`.
    """
    texts: list[str] = []

    for registry in registries:
        for collector in collectors_of(registry):
            if isinstance(collector, MetricWrapperBase):
                text = await asyncio.to_thread(_text, collector, labels)
            else:
                families = list(collector.collect())
                text = await asyncio.to_thread(text_of, families, labels)

            texts.append(text)

    return "".join(texts)


def _text(collector: Collector, labels: Labels) -> str:
    return text_of(collector.collect(), labels)


class _Labelled(Collector):
    """Families whose samples bear further labels."""

    def __init__(self, families: Iterable[Metric], labels: Labels) -> None:
        self._families = families
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        for family in self._families:
            family.samples = [
                sample._replace(labels={**sample.labels, **self._labels})
                for sample in family.samples
                if not sample.name.endswith("_created")
            ]

            yield family
