"""Names that are derived and not chosen, of Sessions, Peers and label values; our labels, annotations and
finalizers. Pure.
"""

import hashlib
import json
import re
from datetime import datetime

from cerebro.resources.base import API_GROUP
from cerebro.resources.session import SessionType
from cerebro.resources.values import format_time

LABEL_DEVICE = f"{API_GROUP}/device"
LABEL_ORDER = f"{API_GROUP}/order"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY_BRIDGE = "cerebro-bridge"
MANAGED_BY_OPERATOR = "cerebro-operator"
ANNOTATION_RESYNC_AT = f"{API_GROUP}/resync-at"
ANNOTATION_TRACE_ID = f"{API_GROUP}/trace-id"
ANNOTATION_EVENT_ID = f"{API_GROUP}/event-id"
ANNOTATION_DEVICE = f"{API_GROUP}/device"
ANNOTATION_ADDRESS = f"{API_GROUP}/address"
ANNOTATION_FORCE_FINALIZE = f"{API_GROUP}/force-finalize"
"""With the value "true" a terminating object is let go without its clean-up."""

FINALIZER_INTERFACE = f"{API_GROUP}/interface"
"""On every Peer: its entry goes from the interface before the object goes."""
FINALIZER_CLEANUP = f"{API_GROUP}/cleanup"
"""On Devices and Hubs with `deletionPolicy: Cleanup`."""

SECRET_TYPE_ROUTER = f"{API_GROUP}/router"
SECRET_TYPE_WIREGUARD = f"{API_GROUP}/wireguard"
SECRET_TYPE_COMMAND = f"{API_GROUP}/command"

_LABEL_VALUE = re.compile("[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


def session_name(namespace: str, device: str, type: SessionType, order: str) -> str:  # noqa: A002 the field's own name
    """Name the one Session of a Device, type and order (rule A1).

    `<device, cut to 200>-<10 hex of SHA-256 over the JSON array [namespace, device, type, order]>`; the array
    is written in ASCII without blanks. A cut that ends in `.` or `-` loses those, or the name were invalid.
    """
    array = json.dumps([namespace, device, type, order], ensure_ascii=True, separators=(",", ":"))
    return f"{device[:200].rstrip('.-')}-{hashlib.sha256(array.encode()).hexdigest()[:10]}"


def place_of_order(*, session_id: str | None, client: str | None, requested_at: datetime | None) -> str:
    """Give what stands in place of an order that is not there: session, else client and time (rule A1).

    `client` is a MAC or an IP. Raises ValueError when there is neither a session nor a client with its time.
    """
    if session_id:
        return f"session:{session_id}"
    if client and requested_at is not None:
        return f"client:{client}:{format_time(requested_at)}"
    raise ValueError("a Session needs an order, a sessionId, or a client and the time of the request")


def supersession_name(namespace: str, device: str, type: SessionType, superseded: str) -> str:  # noqa: A002 as above
    """Name the Session that stands in place of the one called `superseded` (rules A1 and A10)."""
    return session_name(namespace, device, type, f"supersedes:{superseded}")


def second_peer_name(device: str, uid: str) -> str:
    """Name the Peer of a Device where another Peer has the Device's own name: `<device>-<6 hex of its UID>`."""
    return f"{device[:246].rstrip('.-')}-{hashlib.sha256(uid.encode()).hexdigest()[:6]}"


def device_name(device_id: str) -> str:
    """Name the Device that a caller knows as `device_id` (rule F9); `routerID` keeps the text itself.

    In lower case, what no name may have becomes `-`; where that changed it, 6 hex of the text's SHA-256 follow.
    """
    lower = device_id.lower()
    name = re.sub("-*[.][.-]*", ".", re.sub("[^a-z0-9.-]", "-", lower)).strip(".-")[:200].rstrip(".-")
    if name == lower:
        return name
    digest = hashlib.sha256(device_id.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{name or 'router'}-{digest}"


def label_value(text: str) -> str:
    """Give the text where it is a valid label value, else the first 40 hex digits of its SHA-256 (rule A3).

    The empty text is a valid value. Look-ups go by the field; a label only helps people select.
    """
    if not text or _LABEL_VALUE.fullmatch(text):
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]
