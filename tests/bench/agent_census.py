"""Runs the agent, and counts on SIGUSR1 what its objects hold: `python -m bench.agent_census FILE agent`.

The bytes are written to FILE as JSON: those of kopf's memories, of the store, and of the Devices' loops. What two
of them hold is counted for the first.
"""

from __future__ import annotations

import gc
import json
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CodeType,
    FrameType,
    FunctionType,
    MethodType,
    ModuleType,
)

from cerebro.cli.main import app

PARTS = {
    "kopf": ("kopf._core.reactor.inventory", "ResourceMemories"),
    "store": ("cerebro.kube.cache.store", "Store"),
    "loops": ("cerebro.agent.devices.loop", "DeviceLoop"),
}
_SHARED = (
    type,
    ModuleType,
    FunctionType,
    BuiltinFunctionType,
    MethodType,
    CodeType,
    FrameType,
)


def census() -> dict[str, int]:
    """Return the bytes that each part holds."""
    gc.unfreeze()  # what the agent took out of the collector's sight counts too
    gc.collect()
    seen: set[int] = set()
    everything = gc.get_objects()
    roots = {
        name: [one for one in everything if _is_a(one, *kind)]
        for name, kind in PARTS.items()
    }
    del everything
    limits = {id(root) for some in roots.values() for root in some}
    return {
        name: _bytes_of(some, seen, limits) for name, some in roots.items()
    }


def _is_a(one: object, module: str, name: str) -> bool:
    kind = type(one)
    return kind.__module__ == module and kind.__name__ == name


def _bytes_of(
    roots: Iterable[object], seen: set[int], limits: set[int]
) -> int:
    """Return the bytes of all that is held from these roots, but for what was seen already and other roots."""
    total, waiting = 0, list(roots)
    first = {id(root) for root in waiting}
    while waiting:
        one = waiting.pop()
        number = id(one)
        elsewhere = number in limits and number not in first
        if number in seen or elsewhere or isinstance(one, _SHARED):
            continue
        if type(one).__module__.startswith(("asyncio", "_asyncio")):
            continue

        seen.add(number)
        total += sys.getsizeof(one)
        waiting += gc.get_referents(one)
    return total


def main() -> None:
    """Run the command line with what comes after FILE."""
    file = Path(sys.argv.pop(1))

    def write(*_: object) -> None:
        new = file.with_suffix(".new")
        new.write_text(json.dumps(census()))
        new.rename(file)

    signal.signal(signal.SIGUSR1, write)

    app()


if __name__ == "__main__":
    main()
