"""The text that wireguard-go reads and writes on its Unix socket. Pure.

Format: https://www.wireguard.com/xplatform/, lines of `key=value`, keys as
hex, an empty line at the end. Nothing that is written here may hold a line
break of its own, so each value is checked.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cerebro.wireguard import keys
from cerebro.wireguard.model import ActualPeer, Endpoint, PeerChange

GET = b"get=1\n\n"
_NO_KEY = "0" * 64
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+(%[\w.-]+)?(/\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Device:
    """The answer to `get=1`."""

    private_key: str | None = field(default=None, repr=False)
    """Base64; None: it has none yet."""

    listen_port: int = 0
    """0: it listens nowhere yet."""

    peers: Mapping[str, ActualPeer] = field(default_factory=dict)
    """By public key."""

    @property
    def public_key(self) -> str | None:
        """The key that belongs to the private one."""
        return (
            keys.derive_public_key(self.private_key)
            if self.private_key
            else None
        )


def device(private_key: str | None, listen_port: int | None) -> bytes:
    """Return the request that sets the private key, the port, or both. Raises
    ValueError for a key that is none.
    """
    lines = []
    if private_key is not None:
        lines.append(f"private_key={_hex(private_key)}")

    if listen_port is not None:
        lines.append(f"listen_port={listen_port}")

    return request(lines)


def request(lines: Iterable[str]) -> bytes:
    """Return the request that sets what the lines describe."""
    body = "".join(f"{line}\n" for line in lines)

    return f"set=1\n{body}\n".encode("ascii")


def peer(change: PeerChange) -> list[str]:
    """Return the lines of one change. Raises ValueError for what is no key or
    no address.
    """

    lines = [f"public_key={_hex(change.public_key)}"]
    if change.remove:
        return [*lines, "remove=true"]

    if change.update_only:
        lines.append("update_only=true")

    if change.preshared_key is not None:
        key = _hex(change.preshared_key) if change.preshared_key else _NO_KEY
        lines.append(f"preshared_key={key}")

    if change.endpoint is not None:
        lines.append(f"endpoint={_endpoint_text(change.endpoint)}")

    if change.persistent_keepalive is not None:
        lines.append(
            f"persistent_keepalive_interval={change.persistent_keepalive:d}"
        )

    if change.replace_allowed_ips:
        lines.append("replace_allowed_ips=true")

    lines += [
        f"allowed_ip={_address(network)}" for network in change.allowed_ips
    ]

    return [*lines, "protocol_version=1"]


def _endpoint_text(endpoint: Endpoint) -> str:
    host, port = endpoint
    if ":" in host:
        return f"[{_address(host)}]:{port:d}"

    return f"{_address(host)}:{port:d}"


def read(answer: bytes) -> tuple[int, Device]:
    """Read the answer to GET; return its errno (positive, 0 for none) and the
    device. Raises ValueError.
    """

    own: dict[str, str] = {}
    values = own
    allowed: list[str] = []
    sections: list[tuple[dict[str, str], list[str]]] = []
    errno = None

    # The device's own lines come first; `public_key` begins a peer.
    for line in answer.decode("ascii").splitlines():
        name, _, value = line.partition("=")
        if name == "allowed_ip":
            allowed.append(value)
        elif name == "public_key":
            values, allowed = {name: value}, []
            sections.append((values, allowed))
        elif name == "errno":
            errno = abs(int(value))
        else:
            values[name] = value

    if errno is None:
        raise ValueError("the answer has no errno")

    peers = [_peer(lines, networks) for lines, networks in sections]
    device = Device(
        private_key=_base64(own.get("private_key", _NO_KEY)),
        listen_port=int(own.get("listen_port", 0)),
        peers={each.public_key: each for each in peers},
    )

    return errno, device


def refused(answer: bytes) -> int:
    """Return the errno of an answer to a request, positive, 0 for none. Raises
    ValueError.
    """
    last_line = answer.decode("ascii").strip().rpartition("\n")[2]
    name, _, value = last_line.partition("=")
    if name != "errno":
        raise ValueError("the answer has no errno")

    return abs(int(value))


def _peer(values: Mapping[str, str], allowed: list[str]) -> ActualPeer:
    """Return the peer that these lines describe; `allowed` are its networks."""
    seconds = int(values.get("last_handshake_time_sec", 0))
    nanoseconds = int(values.get("last_handshake_time_nsec", 0))
    endpoint = values.get("endpoint")

    return ActualPeer(
        public_key=base64.b64encode(
            bytes.fromhex(values["public_key"])
        ).decode(),
        allowed_ips=frozenset(allowed),
        preshared_key=_base64(values.get("preshared_key", _NO_KEY)),
        persistent_keepalive=int(
            values.get("persistent_keepalive_interval", 0)
        ),
        endpoint=_endpoint(endpoint) if endpoint else None,
        last_handshake=seconds + nanoseconds / 1e9,
        rx_bytes=int(values.get("rx_bytes", 0)),
        tx_bytes=int(values.get("tx_bytes", 0)),
    )


def _endpoint(text: str) -> Endpoint:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _base64(key: str) -> str | None:
    if key == _NO_KEY:
        return None

    return base64.b64encode(bytes.fromhex(key)).decode()


def _hex(key: str) -> str:
    try:
        raw = base64.b64decode(key, validate=True)
    except binascii.Error:
        raise ValueError("a key that is not base64") from None

    if len(raw) != keys.LENGTH:
        raise ValueError(f"a key of {len(raw)} bytes, not {keys.LENGTH}")

    return raw.hex()


def _address(text: str) -> str:
    if _ADDRESS.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no address")

    return text
