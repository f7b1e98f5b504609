"""The text that Prometheus reads, made without holding the event loop.

A page of metrics may have many thousand lines. So it is made family by family:
each is read in the event loop, where nothing changes it meanwhile, and a large
one becomes text in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

_LARGE = 200
"""Samples from which on a family becomes text in a thread."""


class Source(Protocol):
    """What has families of metrics, such as a registry.

    A collector of ours gives its families all at once, or it would be read
    while it changes.
    """

    def collect(self) -> Iterable[Metric]:
        """Return the families."""
        ...


def families(
    source: Source, labels: Mapping[str, str] | None = None
) -> Iterator[Metric]:
    """Yield the families of a source; each sample also bears `labels`.

    When a counter was made is left out: nobody reads it, and it doubles the
    page.
    """
    for family in source.collect():
        family.samples = [
            sample._replace(labels={**sample.labels, **(labels or {})})
            for sample in family.samples
            if not sample.name.endswith("_created")
        ]

        yield family


def text_of(family: Metric) -> str:
    """Return a family in Prometheus' text format, a line a sample."""
    return generate_latest(_Single(family)).decode()


async def exposition(
    *sources: Source, labels: Mapping[str, str] | None = None
) -> str:
    """Return all families of these sources as text; each sample also bears
    `labels`.
    """
    texts: list[str] = []

    for source in sources:
        for family in families(source, labels):
            if len(family.samples) < _LARGE:
                texts.append(text_of(family))
                await asyncio.sleep(0)
            else:
                texts.append(await asyncio.to_thread(text_of, family))

    return "".join(texts)


class _Single(Collector):
    """A source with a single family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        """Yield the family."""
        yield self._family
