"""The layout of the messages of WireGuard's generic netlink family: kinds,
flags and packed parts. Pure.

Source: the kernel's include/uapi/linux/wireguard.h. The prefix of a kind says
what the attribute belongs to: `D_` to the device, `P_` to a peer, `A_` to an
allowed address of a peer.
"""

from __future__ import annotations

import socket
from struct import Struct

GET_DEVICE = 0
SET_DEVICE = 1
VERSION = 1

NESTED = 0x8000
"""Set in the kind of an attribute that holds attributes."""

KIND = 0x3FFF
"""The kind without such flags."""

D_IFNAME, D_PRIVATE_KEY, D_PUBLIC_KEY, D_LISTEN_PORT, D_PEERS = 2, 3, 4, 6, 8
(
    P_PUBLIC_KEY, P_PRESHARED_KEY, P_FLAGS, P_ENDPOINT, P_KEEPALIVE, P_HANDSHAKE, P_RX, P_TX, P_ALLOWED,
    P_PROTOCOL,
) = range(1, 11)  # fmt: skip
REMOVE_ME, REPLACE_ALLOWED_IPS, UPDATE_ONLY = 1, 2, 4

GENERIC = Struct("=BBH")
"""The generic netlink header: command, version, reserved."""

ATTRIBUTE = Struct("=HH")
"""The header of an attribute: size with the header, kind."""

U16 = Struct("=H")
U32 = Struct("=I")
U64 = Struct("=Q")
HANDSHAKE = Struct("=qq")
PORT = Struct("!H")
ENDPOINT_4 = Struct("=H2s4s8x")
ENDPOINT_6 = Struct("=H2s4x16s4x")

# A whole allowed address in one go: its header, and family, address and prefix
# length with a header each.
ALLOWED_4 = Struct("=HHHHH2xHH4sHHB3x")
ALLOWED_6 = Struct("=HHHHH2xHH16sHHB3x")
A_FAMILY, A_ADDRESS, A_LENGTH = 1, 2, 3

# What stands before the address where a peer has one IPv4 address, as nearly
# all have.
ALLOWED_BEFORE_ADDRESS = Struct("=HHHHHHH2xHH").pack(
    32, P_ALLOWED | NESTED, 28, NESTED, 6, A_FAMILY, socket.AF_INET, 8, A_ADDRESS
)  # fmt: skip

NO_KEY = bytes(32)
"""What stands for no key."""
