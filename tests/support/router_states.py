"""Routers in any state, and any grants, for property tests of the plan of access."""

from __future__ import annotations

from hypothesis import strategies as st

from cerebro.routeros.access.marker import marker_for
from cerebro.routeros.access.model import Grant
from support.tables import Tables

MAC = "AA:00:00:00:00:01"
ENDS = 2_000_000_000


def mark(
    key: str, until: float | None = ENDS, installation: str = "main"
) -> str:
    return str(marker_for(installation, key, until))


macs = st.sampled_from([f"AA:00:00:00:00:0{digit}" for digit in range(5)])
ips = st.sampled_from([f"10.5.50.{digit}" for digit in range(1, 6)])
ends = st.sampled_from([None, ENDS, ENDS + 60])
grants = st.builds(Grant, st.one_of(st.none(), macs), ips, ends)
comments = st.one_of(
    st.builds(mark, st.one_of(macs, ips), ends),
    st.sampled_from(["pedido:1", "by hand", mark(MAC, None, "else")]),
)


@st.composite
def routers(draw: st.DrawFn) -> Tables:
    """A router in any state that its own rules of uniqueness allow."""
    tables = Tables()
    servers = st.sampled_from(["all", "hotspot1", "hotspot2"])
    for mac in draw(st.lists(macs, unique=True, max_size=5)):
        kind = draw(st.sampled_from(["bypassed", "regular", "blocked"]))
        tables.put(
            "bindings",
            mac_address=mac,
            type=kind,
            server=draw(servers),
            comment=draw(comments),
        )
    for ip in draw(st.lists(ips, unique=True, max_size=3)):
        tables.put(
            "bindings", address=ip, type="bypassed", comment=draw(comments)
        )
    for ip in draw(st.lists(ips, unique=True, max_size=5)):
        tables.put(
            "lists", list="paid_clients", address=ip, comment=draw(comments)
        )
    for ip in draw(st.lists(ips, unique=True, max_size=5)):
        bypassed = draw(st.sampled_from(["true", "false"]))
        server = draw(st.sampled_from(["hotspot1", "hotspot2"]))
        tables.put(
            "hosts",
            mac_address=draw(macs),
            address=ip,
            server=server,
            bypassed=bypassed,
        )
    return tables
