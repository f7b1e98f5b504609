"""Changes in words, one line each, for a dry run and for logs. Pure; no key but a public one is ever written."""

from __future__ import annotations

from cerebro.wireguard.model import LinkChange, PeerChange


def peer_words(change: PeerChange) -> str:
    """Say what one message about a peer does."""
    if change.remove:
        return f"peer {change.public_key}: remove"
    parts = ["change" if change.update_only else "add"]
    listed = ", ".join(change.allowed_ips)
    if change.replace_allowed_ips:
        parts.append(f"allowed addresses become {listed or 'none'}")
    elif listed:
        parts.append(f"allow {listed}")
    if change.preshared_key is not None:
        parts.append("set the preshared key" if change.preshared_key else "remove the preshared key")
    if change.persistent_keepalive is not None:
        seconds = change.persistent_keepalive
        parts.append(f"keepalive every {seconds} s" if seconds else "no keepalive")
    if change.endpoint is not None:
        host, port = change.endpoint
        parts.append(f"dial [{host}]:{port}" if ":" in host else f"dial {host}:{port}")
    return f"peer {change.public_key}: {parts[0]}" + "".join(f"; {part}" for part in parts[1:])


def link_words(change: LinkChange) -> list[str]:
    """Say what a change of the link does, a line for each thing."""
    lines = []
    if change.mtu is not None:
        lines.append(f"MTU becomes {change.mtu}")
    if change.up is not None:
        lines.append("bring the interface up" if change.up else "take the interface down")
    lines += [f"add address {address}" for address in change.add_addresses]
    lines += [f"remove address {address}" for address in change.remove_addresses]
    lines += [f"add route {network}" for network in change.add_routes]
    lines += [f"remove route {network}" for network in change.remove_routes]
    return lines
