"""What a person pastes into a router so that it dials its Hub: a tunnel as
facts, and its script. Pure.

The router makes the key pair itself: no private key is asked for, printed or
sent. Every line stands alone, so that a console takes it, and brings an entry
to what it should be: pasted again it changes nothing. Entries bear the comment
`cerebro:<installation>:tunnel`, by which they are found again.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from cerebro.resources import Condition, Device, Hub, find_condition
from cerebro.resources.reasons import HUB_NOT_FOUND, POOL_EXHAUSTED, TROUBLES
from cerebro.routeros.console import ensure, found, quote, say, when

KEEPALIVE = "25s"
HANDSHAKE_LIMIT = "3m"
"""A tunnel without a handshake for that long has its endpoint set again (E4).
"""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


class NotReadyError(Exception):
    """Something that the script must contain is not known; the message names
    object, field and what to do.

    `of_hub`: it is the Hub's. `pending`: an agent or the operator is going to
    fill it in, so waiting may help.
    """

    def __init__(
        self, message: str, *, of_hub: bool, pending: bool = False
    ) -> None:
        super().__init__(message)
        self.of_hub = of_hub
        self.pending = pending


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A router's end of its tunnel. `address` has the prefix length of the
    Hub's network that it is in.
    """

    installation: str
    router_id: str
    hub_key: str
    host: str
    port: int
    mtu: int
    address: Interface
    hub_address: Interface
    networks: tuple[Network, ...]
    service: str
    api_port: int
    reset_endpoint: bool

    @property
    def interface(self) -> str:
        """The WireGuard interface's name on the router."""
        return f"cerebro-{self.installation}"

    @property
    def marker(self) -> str:
        """The comment of every entry."""
        return f"cerebro:{self.installation}:tunnel"


def tunnel_of(
    hub: Hub,
    device: Device,
    *,
    installation: str,
    reset_endpoint: bool | None = None,
) -> Tunnel:
    """Gather what the router must know, from Hub and Device.

    Networks are the Hub's in the family of the router's address: all of them
    may send through the tunnel, or the router would drop what the relay sends.
    `reset_endpoint` None: where the endpoint can come to mean another machine,
    which is a host name, or a Hub that moves between nodes (E4). Raises
    NotReadyError.
    """

    host, port = endpoint_of(hub)
    _refuse_trouble(device)
    address = tunnel_address(device)
    inside = [_interface(text) for text in hub.spec.addresses]
    hub_address = next((one for one in inside if address in one.network), None)
    if hub_address is None:
        raise NotReadyError(
            f"the tunnel address {address} of the Device {device.name} is in no network of the Hub {hub.name} "
            f"({', '.join(hub.spec.addresses)}): correct spec.tunnelAddress, or leave it out",
            of_hub=False,
        )

    if address == hub_address.ip:
        raise NotReadyError(
            f"the tunnel address {address} of the Device {device.name} is the Hub's own: correct spec.tunnelAddress",
            of_hub=False,
        )

    same_family = (
        one.network for one in inside if one.version == address.version
    )

    tls = device.spec.api.tls.mode != "Disabled"

    return Tunnel(
        installation=installation,
        router_id=device.router_id,
        hub_key=hub.status.public_key or "",
        host=host,
        port=port,
        mtu=hub.spec.mtu,
        address=_interface(f"{address}/{hub_address.network.prefixlen}"),
        hub_address=hub_address,
        networks=tuple(dict.fromkeys(same_family)),
        service="api-ssl" if tls else "api",
        api_port=device.spec.api.effective_port,
        reset_endpoint=_may_move(hub, host)
        if reset_endpoint is None
        else reset_endpoint,
    )


def endpoint_of(hub: Hub) -> tuple[str, int]:
    """Give host (an IPv6 address without brackets) and port that routers dial.

    Raises NotReadyError when the Hub lacks its endpoint or its key.
    """
    if hub.spec.endpoint is None:
        raise NotReadyError(
            f"the Hub {hub.name} has no spec.endpoint: write the host:port that routers dial, "
            "such as vpn.example.net:51820",
            of_hub=True,
        )

    if not hub.status.public_key:
        raise NotReadyError(
            f"the Hub {hub.name} has no status.publicKey yet: its agent writes it once the interface has a key"
            + _said(
                find_condition(hub.status.conditions, "InterfaceUp"),
                "kubectl describe hub " + hub.name,
            ),
            of_hub=True,
            pending=True,
        )

    host, _, port = hub.spec.endpoint.rpartition(":")

    return host.strip("[]"), int(port)


def tunnel_address(
    device: Device,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Give the router's address in the tunnel: pinned in its spec, else
    allocated. Raises NotReadyError.
    """
    if device.spec.hub_ref is None:
        raise NotReadyError(
            f"the Device {device.name} has no spec.hubRef: it is reached directly, without a tunnel. "
            "hubRef cannot be added later: delete the Device and make it again with it",
            of_hub=False,
        )

    text = device.spec.tunnel_address or device.status.tunnel_address
    if not text:
        raise NotReadyError(
            f"the Device {device.name} has no status.tunnelAddress yet: the operator allocates it"
            + _said(
                find_condition(device.status.conditions, "Ready"),
                "is the operator running?",
            ),
            of_hub=False,
            pending=True,
        )

    return ipaddress.ip_address(text)


def _refuse_trouble(device: Device) -> None:
    """Refuse what would not work, such as an address that is another router's:
    the operator says so on the Device.

    Not what it said of an earlier spec, nor that there is no Hub, as there is
    one now. Raises NotReadyError.
    """
    ready = find_condition(device.status.conditions, "Ready")
    if (
        ready is None
        or ready.observed_generation != device.metadata.generation
    ):
        return

    if ready.reason in TROUBLES - {HUB_NOT_FOUND}:
        raise NotReadyError(
            f"the Device {device.name} cannot have this tunnel: {ready.reason}: {ready.message}",
            of_hub=False,
            pending=ready.reason == POOL_EXHAUSTED,
        )


def script(tunnel: Tunnel, hand_back: tuple[str, str]) -> list[str]:
    """Give the script, a command a line; at its end the router prints its
    public key between two texts.

    `hand_back` are those texts: what to do with the key, such as a command
    that takes it.
    """
    lines = [
        "# Makes the tunnel to the relay. The router makes its own key pair; only the public key is printed.",
        _interface_entry(tunnel),
        _peer_entry(tunnel),
        _address_entry(tunnel),
        *_route_entries(tunnel),
        *_input_rule(tunnel),
        *_api_service(tunnel),
    ]
    if tunnel.reset_endpoint:
        lines.append(_endpoint_scheduler(tunnel))

    return [*lines, _ipv6_note(), _print_key(tunnel, hand_back)]


def _interface_entry(tunnel: Tunnel) -> str:
    name = quote(tunnel.interface)
    comment = quote(f"{tunnel.marker} {tunnel.router_id}")
    values = {
        "name": name,
        "mtu": str(tunnel.mtu),
        "comment": comment,
        "disabled": "no",
    }

    return ensure("/interface/wireguard", {"name": name}, values)


def _peer_entry(tunnel: Tunnel) -> str:
    values = {
        **_marked(tunnel, "interface"),
        "public-key": quote(tunnel.hub_key),
        "allowed-address": ",".join(
            str(network) for network in tunnel.networks
        ),
        "endpoint-address": quote(tunnel.host),
        "endpoint-port": str(tunnel.port),
        "persistent-keepalive": KEEPALIVE,
        "disabled": "no",
    }

    return ensure(
        "/interface/wireguard/peers", _marked(tunnel, "interface"), values
    )


def _address_entry(tunnel: Tunnel) -> str:
    """The prefix length makes the route to the Hub's network; `network`
    follows no change by itself.
    """
    more = {"network": str(tunnel.address.network.network_address)}
    if tunnel.address.version == 6:
        more = {"advertise": "no"}

    values = {
        "address": str(tunnel.address),
        **more,
        **_marked(tunnel, "interface"),
        "disabled": "no",
    }

    return ensure(f"{_family(tunnel)}/address", _marked(tunnel), values)


def _route_entries(tunnel: Tunnel) -> list[str]:
    """Routes to the Hub's other networks: allowed addresses make none on
    RouterOS.
    """
    lines = []
    for network in tunnel.networks:
        if network != tunnel.address.network:
            where = {"dst-address": str(network), **_marked(tunnel)}
            values = {
                **where,
                "gateway": quote(tunnel.interface),
                "disabled": "no",
            }

            lines.append(ensure(f"{_family(tunnel)}/route", where, values))

    return lines


def _input_rule(tunnel: Tunnel) -> list[str]:
    """Admit the hub's address to the API, before any rule that drops (D3)."""
    menu = f"{_family(tunnel)}/firewall/filter"
    values = {
        "chain": "input",
        "action": "accept",
        **_marked(tunnel, "in-interface"),
        "src-address": str(tunnel.hub_address.ip),
        "protocol": "tcp",
        "dst-port": str(tunnel.api_port),
        "disabled": "no",
    }

    ours = found(menu, _marked(tunnel))
    first = f"[:pick {found(menu, {'chain': 'input', 'dynamic': 'no'})} 0]"
    move = f"{menu}/move {ours} destination={first}"

    return [
        ensure(menu, _marked(tunnel), values),
        when(f"{first} != [:pick {ours} 0]", move),
    ]


def _api_service(tunnel: Tunnel) -> list[str]:
    """Open the API to the hub's address and shut nobody out.

    A service that was off is switched on for the hub alone; a list gets the
    hub added; a service that is open to everybody stays so, with a word about
    how to limit it: somebody else may be using it.
    """

    menu = "/ip/service"
    service = f"[:pick {found(menu, {'name': quote(tunnel.service)})} 0]"
    host = f"{tunnel.hub_address.ip}/{tunnel.hub_address.max_prefixlen}"
    bare = str(tunnel.hub_address.ip).replace(".", "\\.")
    listed = quote(
        f"(^|[;,]){bare}(/{tunnel.hub_address.max_prefixlen})?([;,]|$)"
    )

    switch_on = f"{menu}/set $s address={host} disabled=no"
    note = say(
        f"The service {tunnel.service} is open to all addresses. To admit the relay only: "
        f"{menu}/set {tunnel.service} address={host}"
    )

    other_port = say(
        f"The service {tunnel.service} listens on another port than {tunnel.api_port}: change it there, "
        "or spec.api.port of the Device."
    )

    empty = when(f"[{menu}/get $s disabled]", switch_on, note)
    add = when(
        f"!([:tostr $a] ~ {listed})",
        f"{menu}/set $s address=($a,{quote(host)})",
    )

    return [
        f"{{:local s {service}; :local a [{menu}/get $s address]; "
        + when("[:len $a] = 0", empty, f"{add}; {menu}/set $s disabled=no")
        + "; "
        + when(f"[{menu}/get $s port] != {tunnel.api_port}", other_port)
        + "}"
    ]


def _endpoint_scheduler(tunnel: Tunnel) -> str:
    """Set the endpoint again while no handshake succeeds: RouterOS resolves a
    name only then (E4).
    """

    menu = "/interface/wireguard/peers"
    peer = found(menu, _marked(tunnel, "interface"))
    again = f"{menu}/set $p endpoint-address={quote(tunnel.host)} endpoint-port={tunnel.port}"
    age = f"[{menu}/get $p last-handshake]"
    late = f'[:typeof $h] != "time" || $h = 0s || $h > {HANDSHAKE_LIMIT}'
    source = f":foreach p in={peer} do={{:local h {age}; {when(late, again)}}}"
    name = quote(f"{tunnel.interface}-endpoint")
    values = {
        "name": name,
        "interval": "1m",
        "start-time": "startup",
        "policy": "read,write",
        "on-event": quote(source),
        "comment": quote(tunnel.marker),
        "disabled": "no",
    }

    return ensure("/system/scheduler", {"name": name}, values)


def _ipv6_note() -> str:
    """Print a warning for each interface on which a hotspot runs and the
    router has an IPv6 address, unless a rule stops what comes from there.

    The hotspot is IPv4 only: IPv6 needs no access. This script leaves the
    firewall to a person, so the line that shuts it is only printed.
    """

    hotspots = found("/ip/hotspot", {"disabled": "no"})
    here = {"interface": "$i", "disabled": "no", "link-local": "no"}
    before = quote("IPv6 lets phones out without payment at the hotspot on ")
    between = quote(
        ", since a hotspot is for IPv4 only. To shut it: /ipv6/firewall/filter/add chain=forward action=reject "
        "in-interface="
    )

    told = f":put ({before} . $i . {between} . $i)"

    for action in ("drop", "reject"):
        rule = {"chain": "forward", "in-interface": "$i", "action": action}
        rules = found("/ipv6/firewall/filter", {**rule, "disabled": "no"})
        told = when(f"[:len {rules}] = 0", told)

    has_address = when(f"[:len {found('/ipv6/address', here)}] != 0", told)

    return f":foreach h in={hotspots} do={{:local i [/ip/hotspot/get $h interface]; {has_address}}}"


def _print_key(tunnel: Tunnel, hand_back: tuple[str, str]) -> str:
    before, after = hand_back
    interface = found(
        "/interface/wireguard", {"name": quote(tunnel.interface)}
    )

    peer = found(
        "/interface/wireguard/peers",
        {
            "interface": quote(tunnel.interface),
            "public-key": quote(tunnel.hub_key),
        },
    )

    key = f"[/interface/wireguard/get {interface} public-key]"
    failed = say(
        "The tunnel was not made, see the errors above. If another interface of this router dials the same hub "
        "already, remove its peer and paste this again."
    )

    return when(
        f"[:len {peer}] = 1",
        f":put ({quote(before)} . {key} . {quote(after)})",
        failed,
    )


def _marked(tunnel: Tunnel, interface: str | None = None) -> dict[str, str]:
    """The values by which our entries are found: the comment, and the
    interface under its name in that menu.
    """
    where = {interface: quote(tunnel.interface)} if interface else {}
    return {**where, "comment": quote(tunnel.marker)}


def _family(tunnel: Tunnel) -> str:
    return "/ip" if tunnel.address.version == 4 else "/ipv6"


def _interface(text: str) -> Interface:
    return ipaddress.ip_interface(text)


def _may_move(hub: Hub, host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True

    return hub.spec.node_name is None


def _said(condition: Condition | None, otherwise: str) -> str:
    """Repeat what a condition says of it, when it says that something is
    wrong.
    """
    if condition is None or condition.status == "True":
        return f" ({otherwise})"

    return f" ({condition.type} is {condition.status}, {condition.reason}: {condition.message})"
