"""Medians, percentiles and how they are printed. Times are in seconds, printed in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """Median and 99th percentile of one measurement."""

    p50: float
    p99: float

    @classmethod
    def of(cls, times: Sequence[float]) -> Figures:
        """Compute them; of fewer than a hundred times the 99th percentile is the longest."""
        ordered = sorted(times)
        return cls(
            ordered[len(ordered) // 2],
            ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))],
        )

    def __str__(self) -> str:
        return f"p50 {self.p50 * 1000:8.1f} ms   p99 {self.p99 * 1000:8.1f} ms"


def line(name: str, figures: Figures, beside: Figures | None = None) -> str:
    """Return one line of a table; with `beside` also the ratio of the medians."""
    ratio = (
        ""
        if beside is None
        else f"   {figures.p50 / beside.p50:5.2f} times the bare script"
    )
    return f"  {name:44} {figures}{ratio}"
