"""Changes in words, one line each, for a dry run and for logs. Pure.

No key but a public one is ever written.
"""

from __future__ import annotations

from cerebro.wireguard.model import LinkChange, PeerChange
from cerebro.wireguard.networks import endpoint_text


def peer_words(change: PeerChange) -> str:
    """Return what one message about a peer does, as `peer KEY: add; allow
    10.64.0.2/32`.
    """

    if change.remove:
        return f"peer {change.public_key}: remove"

    parts = ["change" if change.update_only else "add"]
    networks = ", ".join(change.allowed_ips)
    if change.replace_allowed_ips:
        parts.append(f"allowed addresses become {networks or 'none'}")
    elif networks:
        parts.append(f"allow {networks}")

    if change.preshared_key is not None:
        parts.append(
            "set the preshared key"
            if change.preshared_key
            else "remove the preshared key"
        )

    if change.persistent_keepalive is not None:
        seconds = change.persistent_keepalive
        parts.append(
            f"keepalive every {seconds} s" if seconds else "no keepalive"
        )

    if change.endpoint is not None:
        parts.append(f"dial {endpoint_text(change.endpoint)}")

    return f"peer {change.public_key}: {'; '.join(parts)}"


def link_words(change: LinkChange) -> list[str]:
    """Return what a change of a link does, a line for each thing, as `add
    route 192.168.88.0/24`.
    """

    lines = []
    if change.mtu is not None:
        lines.append(f"MTU becomes {change.mtu}")

    if change.up is not None:
        lines.append(
            "bring the interface up"
            if change.up
            else "take the interface down"
        )

    lines += [f"add address {address}" for address in change.add_addresses]
    lines += [
        f"remove address {address}" for address in change.remove_addresses
    ]

    lines += [f"add route {network}" for network in change.add_routes]
    lines += [f"remove route {network}" for network in change.remove_routes]

    return lines
