"""Names: derived ones of Sessions, Peers, Devices and label values; our labels, annotations, finalizers, types. Pure.

A derived name is the same wherever it is derived: processes agree on it without asking each other. A change of a
derivation leaves objects under the old name behind.
"""

import hashlib
import json
import re
from datetime import datetime
from functools import lru_cache

from cerebro.resources.base import API_GROUP, Resource
from cerebro.resources.session import SessionType
from cerebro.resources.values import format_time

LABEL_DEVICE = f"{API_GROUP}/device"
LABEL_ORDER = f"{API_GROUP}/order"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY_BRIDGE = "cerebro-bridge"
MANAGED_BY_OPERATOR = "cerebro-operator"
ANNOTATION_RESYNC_AT = f"{API_GROUP}/resync-at"
ANNOTATION_TRACE_ID = f"{API_GROUP}/trace-id"
ANNOTATION_REQUEST_ARRIVAL = f"{API_GROUP}/request-arrival"
"""When the request that `spec.requestedAt` is of came to the bridge."""
ANNOTATION_REVOKE_ARRIVAL = f"{API_GROUP}/revoke-arrival"
"""The same for `spec.revokedAt`."""
ANNOTATION_EVENT_ID = f"{API_GROUP}/event-id"
ANNOTATION_DEVICE = f"{API_GROUP}/device"
ANNOTATION_ADDRESS = f"{API_GROUP}/address"
ANNOTATION_PUBLIC_ADDRESS = f"{API_GROUP}/public-address"
"""Where a caller says that a router is in the internet: recorded, never dialled (rule D2)."""
ANNOTATION_BOUND_AT = f"{API_GROUP}/bound-at"
"""When a caller gave a Device its key."""
ANNOTATION_FORCE_FINALIZE = f"{API_GROUP}/force-finalize"
"""With the value "true" an object that is being deleted goes without its clean-up (rule E6)."""

FINALIZER_INTERFACE = f"{API_GROUP}/interface"
"""On every Peer: its entry leaves the interface before the object goes."""

FINALIZER_CLEANUP = f"{API_GROUP}/cleanup"
"""On Devices and Hubs with `deletionPolicy: Cleanup`."""

SECRET_TYPE_ROUTER = f"{API_GROUP}/router"
SECRET_TYPE_WIREGUARD = f"{API_GROUP}/wireguard"
SECRET_TYPE_COMMAND = f"{API_GROUP}/command"

LABEL_USER_SECRET = f"{API_GROUP}/user-secret"
"""On a Session of the bridge with a hotspot user, as long as it has a Secret that the bridge must delete."""

SESSION_PLACE = "session:"
"""Before the name that a caller gave its own session: together they stand in an order's place (rule A1)."""

USER_PLACE = "user:"
"""Before the Device and the name of a hotspot user that a caller asked for: they stand in an order's place too."""

_MAX_ORDER = 128
"""Characters of an order."""

_REMEMBERED = 4096
"""Names of Sessions that are remembered: an order is asked for again and again."""

_LABEL_VALUE = re.compile("[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


@lru_cache(_REMEMBERED)
def session_name(
    namespace: str,
    device: str,
    type: SessionType,  # noqa: A002 - the field's own name
    order: str,
) -> str:
    """Return the name of the only Session of a Device, type and order (rule A1).

    `<device, cut to 200>-<10 hex of SHA-256 over the JSON array [namespace, device, type, order]>`. The array is
    written in ASCII without blanks. A cut device loses `.` and `-` at its end, which no name may have there.
    """
    array = json.dumps(
        [namespace, device, type, order],
        ensure_ascii=True,
        separators=(",", ":"),
    )

    digest = hashlib.sha256(array.encode()).hexdigest()[:10]
    prefix = device[:200].rstrip(".-")

    return f"{prefix}-{digest}"


def place_of_order(
    *,
    session_id: str | None,
    client: str | None,
    requested_at: datetime | None,
) -> str:
    """Return what stands in place of a missing order: the session, else the client and the time (rule A1).

    `client` is a MAC or an IP address. Raises ValueError if neither the session nor the client with its time is known.
    """
    if session_id:
        return SESSION_PLACE + session_id

    if client and requested_at is not None:
        return f"client:{client}:{format_time(requested_at)}"

    raise ValueError(
        "a Session needs an order, a sessionId, or a client and the time of the request"
    )


def place_of_user(device: str, user: str) -> str:
    """Return what stands in an order's place for a hotspot user on a Device (rule F8).

    `user:<device>:<user>`; a Device's name for which an order has no room is the first 10 hex of its SHA-256.
    """
    place = f"{USER_PLACE}{device}:{user}"
    if len(place) <= _MAX_ORDER:
        return place

    digest = hashlib.sha256(device.encode()).hexdigest()[:10]

    return f"{USER_PLACE}{digest}:{user}"


def supersession_name(
    namespace: str,
    device: str,
    type: SessionType,  # noqa: A002 - the field's own name
    superseded: str,
) -> str:
    """Return the name of the Session that stands in place of the Session `superseded` (rules A1 and A10)."""
    return session_name(namespace, device, type, f"supersedes:{superseded}")


def second_peer_name(device: str, uid: str) -> str:
    """Return the name of a Device's Peer where another Peer has the Device's own name.

    `<device, cut to 246>-<6 hex of SHA-256 over the Device's UID>`.
    """
    digest = hashlib.sha256(uid.encode()).hexdigest()[:6]
    prefix = device[:246].rstrip(".-")

    return f"{prefix}-{digest}"


def came_over_http(resource: Resource) -> bool:
    """Return whether the bridge made an object for a caller over HTTP: the label says so from its creation on."""
    return resource.metadata.labels.get(LABEL_MANAGED_BY) == MANAGED_BY_BRIDGE


def device_name(device_id: str) -> str:
    """Return the name of the Device that a caller knows as `device_id` (rule F9); `routerID` keeps the text itself.

    The text in lower case, with `-` for what no name may have. If that changed the text, 6 hex of its SHA-256 follow,
    so that different texts keep different names.
    """

    lower = device_id.lower()
    allowed = re.sub("[^a-z0-9.-]", "-", lower)
    single_dots = re.sub(
        "-*[.][.-]*", ".", allowed
    )  # each part between dots begins and ends with a letter or digit

    name = single_dots.strip(".-")[:200].rstrip(".-")
    if name == lower:
        return name

    digest = hashlib.sha256(
        device_id.encode("utf-8", "surrogatepass")
    ).hexdigest()[:6]

    return f"{name or 'router'}-{digest}"


def label_value(text: str) -> str:
    """Return the text if it is a valid label value, else the first 40 hex digits of its SHA-256 (rule A3).

    The empty text is a valid value. Our processes look up fields; labels only help people to select.
    """
    if not text or _LABEL_VALUE.fullmatch(text):
        return text

    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[
        :40
    ]
