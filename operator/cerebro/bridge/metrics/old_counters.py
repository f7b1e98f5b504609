"""The counters of the old relay, by the keys under which it counted.

It rendered a key as `relay_`, and an underscore for each run of what no name
can have. There were no labels: the router is a part of the name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

AUTHORIZE = "AUTHORIZE_BY_PEDIDO"
RESYNC = "RESYNC_DEVICE"
REVOKE = "REVOKE_SESSION"
"""The names of the actions: in `/relay/action`, and in these counters."""

ERROR_CLASSES = {
    "MIKROTIK_NODE_NOT_FOUND": ("setup", "MIKROTIK_NODE_NOT_FOUND"),
    "router_not_resolved": ("setup", "router_not_resolved"),
    "missing_ip_or_mac": ("setup", "missing_ip_or_mac"),
    "MIKROTIK_AUTH_FAILED": ("auth", "MIKROTIK_AUTH_FAILED"),
    "MIKROTIK_UNREACHABLE": ("transient", "MIKROTIK_UNREACHABLE"),
    "router_timeout": ("transient", "MIKROTIK_TIMEOUT"),
    "router_unavailable": ("transient", "MIKROTIK_UNREACHABLE"),
}
"""The old relay's class and code of an error, by our code. Any other one it
would not have counted as a router's.
"""

_STATES = {
    "setup": "MISCONFIGURED",
    "auth": "AUTH_FAILED",
    "transient": "DEGRADED",
}
"""The state in which an error of each class left a router."""

_DOWN = "DOWN_TRANSIENT"
"""The state of a router that failed several times in a row."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9]+")

_PARTS = {
    "attempt": "asked for",
    "success": "done",
    "fail": "refused, or not done in time",
}
_LATENCY = "latency_ms_total"


def _of_actions() -> dict[str, str]:
    """Return the counters of actions: of all, and of each."""
    meanings: dict[str, str] = {}

    for name in ("", AUTHORIZE, RESYNC, REVOKE):
        whose = f"Actions {name}".rstrip()
        key = f"action.{name}".rstrip(".")
        meanings |= {
            f"{key}.{part}": f"{whose} that were {text}"
            for part, text in _PARTS.items()
        }
        meanings[f"{key}.{_LATENCY}"] = f"{whose}: milliseconds in all"

    return meanings


MEANINGS: dict[str, str] = {
    **_of_actions(),
    "audit.attempt": "As relay_action_attempt",
    "audit.success": "As relay_action_success",
    "audit.fail": "As relay_action_fail",
    "events.invalid": "Events that say something impossible",
    "events.unknown_type": "Events of a type that is not known",
    "events.rejected_peer_offline": "Events refused because the router is offline",
    "events.error": "Events that a fault of the bridge's kept from being done",
    "trial.granted": "TRIAL_REQUESTED: access is on the router",
    "trial.failed": "TRIAL_REQUESTED: it will not come",
    "release.granted": "RELEASE_REQUESTED: access is on the router",
    "release.failed": "RELEASE_REQUESTED: it will not come",
    "revoke.done": "REVOKE_REQUESTED: access is off the router",
    "revoke.failed": "REVOKE_REQUESTED: it was not ended",
    "payment.confirmed": "PAYMENT_CONFIRMED that were stored",
    "consumer.http_fetch_ok": "Looks at the feed that brought an answer",
    "consumer.http_fetch_error": "Looks at the feed without an answer",
    "consumer.http_error": "Answers of the feed that are not 2xx",
    "consumer.http_parse_error": "Answers of the feed that are no JSON array",
    "consumer.missing_hmac": "Answers of the feed without a signature",
    "consumer.hmac_mismatch": "Answers of the feed with a wrong signature",
    "consumer.invalid_event": "Entries of the feed without a usable eventId",
    "consumer.process_error": "Looks whose events the store could not take",
    "consumer.ack_sent": "ACKs that the backend took",
    "consumer.ack_error": "ACKs that the backend did not take; they are sent again",
    "relay.p0_authorize_attempt_total": "Identity refreshes that grant what was paid",
    "relay.p0_authorize_success_total": "Identity refreshes after which access is on the router",
    "relay.p0_authorize_pending_total": "Identity refreshes that the router has not confirmed in time",
    "relay.p0_authorize_failed_total": "Identity refreshes that were refused though something was paid",
    **{
        f"relay.error_class_{kind}_{code}": f"Identity refreshes that failed with {code}"
        for kind, code in ERROR_CLASSES.values()
    },
    **{
        f"relay.router_health_state_{state}": f"Identity refreshes that met a router in the state {state}"
        for state in (*_STATES.values(), _DOWN)
    },
}
"""What each counter counts, by its key. No other key is counted."""

OF_A_ROUTER: dict[str, str] = {
    **{
        f"action.{part}": f"Actions that were {text}"
        for part, text in _PARTS.items()
    },
    _LATENCY: "Actions: milliseconds in all",
}
"""What each counter of a router counts, by the end of its key."""


GONE: dict[str, str] = {
    "relay_events_rejected_circuit": "an event waits for its router, however long that is left alone: "
    "`relay_events_open`, `relay_circuit_breaker_state`",
    "relay_consumer_hmac_error": "`relay_consumer_hmac_mismatch`",
    "relay_job_revoke_success, relay_job_revoke_failed, relay_job_revoke_giveup": "a trial is a Session with an end, "
    "and its end is never given up: `relay_sessions_cleaned_total` of the agent",
    "relay_job_authorize_success, relay_job_authorize_rescheduled, relay_job_authorize_failed": "an order is a Session "
    "until it is granted: `cerebro_order_seconds` of the agent, `relay_paid_orders_waiting`",
    "relay_job_lock_skipped_total": "there are no locks, but a Lease that says who takes events: `cerebro_lease_held`",
    "relay_reconciler_extra_peer, relay_reconciler_peer_offline": "a Hub's interface has its Peers and no other; "
    "`cerebro_peer_last_handshake_seconds` of the agent",
    "relay_reconciler_missing_binding, relay_reconciler_desired_no_binding, relay_reconciler_binding_created, "
    "relay_reconciler_binding_error, relay_reconciler_bindings_error": "a Peer names its Device itself: "
    "`cerebro_operator_devices_without_tunnel`",
    "relay_reconciler_status_error, relay_reconciler_wg_error_*": "the conditions of Hubs say why; "
    "`controller_runtime_reconcile_total` counts their passes",
    "relay_relay_error_class_*": "but for the codes above: `relay_events_invalid`, and the codes of answers in the log",
    "nodejs_*": "`process_*`, `python_*` and `cerebro_event_loop_*`",
}
"""What the old relays counted and nothing does any more, and what tells of it
now.
"""


def old_name(key: str) -> str:
    """Return a counter's key as the old relay wrote it."""
    return _NOT_IN_NAMES.sub("_", f"relay.{key}")


def router_key(router_id: str, part: str) -> str:
    """Return the key of a router's counter."""
    return f"router.{router_id}.{part}"


class OldCounters:
    """The counters of one process, from its start on.

    Those of a router are there from its first action to the end of its Device.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter(dict.fromkeys(MEANINGS, 0))
        self._routers: dict[str, Counter[str]] = {}

    def count(self, key: str, by: int = 1) -> None:
        """Count under a key. Raises KeyError for one that MEANINGS lacks."""
        if key not in MEANINGS:
            raise KeyError(key)

        self._counts[key] += by

    def action(
        self, name: str, ok: bool, milliseconds: int, router_id: str | None
    ) -> None:
        """Count an action under its own name, under that of all actions, and
        under the router's.
        """
        result = "success" if ok else "fail"

        for key in ("action", f"action.{name}"):
            self.count(f"{key}.attempt")
            self.count(f"{key}.{result}")
            self.count(f"{key}.{_LATENCY}", milliseconds)

        self.count("audit.attempt")
        self.count(f"audit.{result}")

        if router_id is None:
            return

        of_router = self._routers.setdefault(router_id, Counter())
        of_router["action.attempt"] += 1
        of_router[f"action.{result}"] += 1
        of_router[_LATENCY] += milliseconds

    def identity_error(self, code: str, *, is_down: bool) -> None:
        """Count an error of an identity refresh; `is_down`: the router failed
        several times in a row.
        """
        known = ERROR_CLASSES.get(code)
        if known is None:
            return

        kind, old_code = known
        state = _STATES[kind]
        if kind == "transient" and is_down:
            state = _DOWN

        self.count(f"relay.error_class_{kind}_{old_code}")
        self.count(f"relay.router_health_state_{state}")

    def forget(self, router_id: str) -> None:
        """Forget a router whose Device is no more."""
        self._routers.pop(router_id, None)

    def lines(self) -> Iterator[str]:
        """Yield each counter as a line of text, by its name.

        Two routers whose names become the same one are counted together: a
        name that comes twice would spoil the page.
        """
        values: Counter[str] = Counter()

        for key, value in self._counts.items():
            values[old_name(key)] = value

        for router_id, counts in self._routers.items():
            for part in OF_A_ROUTER:
                name = old_name(router_key(router_id, part))
                values[name] += counts[part]

        for name, value in sorted(values.items()):
            yield f"{name} {value}"
