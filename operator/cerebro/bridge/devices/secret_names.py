"""The names of the Secrets that the bridge makes for a Device (D2). Pure.

The bridge can make and delete Secrets, and never read one. So the name tells
what is in it: the same content has the same name, each change a new one. A
name is a keyed hash, so it does not help who guesses passwords.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import Literal

from cerebro.resources import Device

Purpose = Literal["router", "preshared"]

_DIGITS = 10
_MAX_PREFIX = 200


def secret_name(
    device: Device, purpose: Purpose, key: bytes, *content: str
) -> str:
    """Return `<device, cut to 200>-<purpose>-<10 hex>`, the hex of HMAC-SHA256
    with `key` over the JSON array of the Device's UID and the content.
    """

    array = json.dumps([device.metadata.uid, *content])
    digest = hmac.new(key, array.encode(), hashlib.sha256).hexdigest()

    return f"{_prefix(device, purpose)}{digest[:_DIGITS]}"


def is_made_here(device: Device, purpose: Purpose, name: str) -> bool:
    """Return whether a name is one that `secret_name` gives for the Device."""
    prefix = _prefix(device, purpose)
    pattern = re.escape(prefix) + f"[0-9a-f]{{{_DIGITS}}}"

    return re.fullmatch(pattern, name) is not None


def _prefix(device: Device, purpose: Purpose) -> str:
    return f"{device.name[:_MAX_PREFIX].rstrip('.-')}-{purpose}-"
