"""Which address books there are. Pure: a store, and what is delivered to it."""

from __future__ import annotations

from itertools import count
from typing import Any

from cerebro.kube.cache.store import Store
from cerebro.operator.tunnels.addresses import read_address
from cerebro.operator.tunnels.index import TunnelIndex
from cerebro.resources import KINDS, Device

HUB, OF_HUB = ("ns", "hub"), {"hubRef": {"name": "hub"}}
POOL = {"addresses": ["10.64.0.1/16"]}
DEVICE = {**OF_HUB, "api": {"credentialsSecretRef": {"name": "s"}}}
VERSIONS = count(1)


def an_index() -> tuple[Store, TunnelIndex]:
    store = Store()
    index = TunnelIndex(store)
    store.subscribe(index.changed)
    return store, index


def deliver(
    store: Store, kind: str, event: Any, spec: dict[str, Any], **status: Any
) -> dict[str, Any]:
    name = kind.lower()
    meta = {
        "name": name,
        "namespace": "ns",
        "uid": f"u-{name}",
        "resourceVersion": str(next(VERSIONS)),
    }
    body = {"metadata": meta, "spec": spec, "status": status}
    store.deliver(KINDS[kind], event, body)
    return body


def test_e9_the_book_of_a_hub_that_went_is_kept_for_as_long_as_somebody_holds_an_address() -> (
    None
):
    """E9: a Device whose Hub is made again keeps its address; and no book is kept for ever."""
    store, index = an_index()
    deliver(store, "Hub", "ADDED", POOL)
    deliver(store, "Device", "ADDED", DEVICE, tunnelAddress="10.64.0.2")
    deliver(store, "Hub", "DELETED", POOL)
    address = read_address("10.64.0.2")
    assert address is not None
    assert index.books()[HUB].holders(address)
    deliver(store, "Device", "DELETED", DEVICE)
    assert index.books() == {}


def test_the_book_of_a_hub_that_nobody_uses_goes_with_it() -> None:
    store, index = an_index()
    deliver(store, "Hub", "ADDED", POOL)
    deliver(store, "Device", "ADDED", DEVICE)
    assert HUB in index.books()
    deliver(store, "Hub", "DELETED", POOL)
    assert index.books() == {}


def test_a_book_goes_with_its_last_promise() -> None:
    store, index = an_index()
    deliver(store, "Hub", "ADDED", POOL)
    device = Device.model_validate(deliver(store, "Device", "ADDED", DEVICE))
    address = read_address("10.64.0.3")
    assert address is not None
    index.promise(device, address)
    deliver(store, "Hub", "DELETED", POOL)
    assert HUB in index.books()
    deliver(store, "Device", "DELETED", DEVICE)
    assert index.books() == {}
