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

Purpose = Literal["router", "preshared", "user"]

_DIGITS = 10
_MAX_PREFIX = 200
_ENDINGS = {"router": "", "preshared": "", "user": "-[0-9a-f]{8}"}
"""What follows the digits of the content."""


def secret_name(
    device: Device, purpose: Purpose, key: bytes, *content: str
) -> str:
    """Return `<device, cut to 200>-<purpose>-<10 hex>`, the hex of HMAC-SHA256
    with `key` over the JSON array of the Device's UID and the content.
    """

    array = json.dumps([device.metadata.uid, *content])
    digest = hmac.new(key, array.encode(), hashlib.sha256).hexdigest()

    return f"{_prefix(device.name, purpose)}{digest[:_DIGITS]}"


def user_secret_name(
    device: Device, key: bytes, *content: str, salt: str
) -> str:
    """Return the name of a Secret for a hotspot user: that of `secret_name`,
    and `salt`, 8 hex that are new for each Secret.

    So a Secret that is about to be deleted never has the name of one that was
    just made, also where a password is changed and changed back.
    """
    return f"{secret_name(device, 'user', key, *content)}-{salt}"


def have_same_content(name: str, other: str) -> bool:
    """Return whether two Secrets for a hotspot user have the same content, by
    their names.
    """
    return name.rpartition("-")[0] == other.rpartition("-")[0]


def is_made_here(device: str, purpose: Purpose, name: str) -> bool:
    """Return whether a name is one of those made here for a Device; `device`
    is the Device's name.
    """
    digits = f"[0-9a-f]{{{_DIGITS}}}{_ENDINGS[purpose]}"
    pattern = re.escape(_prefix(device, purpose)) + digits

    return re.fullmatch(pattern, name) is not None


def _prefix(device: str, purpose: Purpose) -> str:
    return f"{device[:_MAX_PREFIX].rstrip('.-')}-{purpose}-"
