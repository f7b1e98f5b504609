"""The old relay's environment: what became of the variables that are no settings here, and what to warn of at
start (F5). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import AliasChoices

from cerebro.bridge.settings import BridgeSettings
from cerebro.runtime import floors

REPLACED: dict[str, str] = {
    "WG_INTERFACE": "spec.interface of the Hub",
    "WG_PRIVATE_KEY": "spec.privateKeySecretRef of the Hub",
    "WG_VPS_PUBLIC_KEY": "status.publicKey of the Hub: the agent reads it off the interface",
    "WG_VPS_ENDPOINT": "spec.endpoint of the Hub",
    "WG_STATUS_FILE": "the agent, which reads the interface itself",
    "DEBUG_WG": "CEREBRO_LOG_LEVEL=DEBUG of the agent",
    "RELAY_HANDSHAKE_ONLINE_SECONDS": "spec.onlineWithin of the Hub",
    "RELAY_RECONCILE_INTERVAL_MS": "spec.resyncInterval of the Hub",
    "RELAY_RECONCILE_REMOVE": "spec.unknownPeers of the Hub",
    "RELAY_RECONCILE_CONCURRENCY": "the agent, which keeps each Hub by itself",
    "MIKROTIK_NODES": "Devices, one for each router",
    "MIKROTIK_USER": "the Secret in spec.api.credentialsSecretRef of the Device",
    "MIKROTIK_PASS": "the Secret in spec.api.credentialsSecretRef of the Device",
    "RELAY_MIKROTIK_PROBE_TIMEOUT_MS": "spec.api.timeout of the Device",
    "RELAY_TECH_USER": "spec.technicalUser of the Device",
    "RELAY_TECH_PASS": "spec.technicalUser.passwordSecretRef of the Device",
    "RELAY_DEFAULT_HOTSPOT_PROFILE": "spec.hotspotUser.profile of the Session",
    "RELAY_HOTSPOT_PROFILE": "nothing: files on routers are not written here",
    "RELAY_HOTSPOT_PROFILE_NAME": "nothing: files on routers are not written here",
    "SESSION_PUBLIC": "nothing: sessions without a signature need RELAY_ALLOW_UNSIGNED with their paths",
    "RELAY_MASTER_KEY": "Secrets, which Kubernetes keeps",
    "RELAY_USE_SQLITE": "nothing: SQLite is the default store",
    "REDIS_REQUIRED": "nothing: with RELAY_STORE=redis the Redis is needed",
    "RELAY_PROCESSED_TTL": "nothing: an event is remembered for 30 days",
    "RELAY_JOB_MAX_ATTEMPTS": "spec.grantBefore of the Session: it is tried until then",
    "RELAY_JOB_BACKOFF_BASE_MS": "spec.circuitBreaker of the Device",
    "RELAY_LOCK_TTL_MS": "Leases",
    "RELAY_LOCK_HEARTBEAT_INTERVAL_MS": "Leases",
    "SESSION_CLEANER_INTERVAL_MS": "the agent, which ends a Session when its time is over",
    "SESSION_CLEANER_CONCURRENCY": "the agent, which ends a Session when its time is over",
    "ACTIVE_SESSION_MONITOR_INTERVAL_MS": "spec.resyncInterval of the Device",
    "SESSION_MONITOR_CONCURRENCY": "spec.resyncInterval of the Device",
    "CONTROL_PLANE_MODE": "nothing: the objects in Kubernetes are what counts",
    "CONTROL_PLANE_FALLBACK_JSON": "nothing: the objects in Kubernetes are what counts",
    "CONTROL_PLANE_WRITE_DB": "nothing: the objects in Kubernetes are what counts",
    "TENANT_AUTO_DISCOVERY_MODE": "namespaces",
    "TENANT_IP_MAP": "namespaces",
    "JOB_RUNNER_ENABLED": "nothing: what is in the store is always carried out",
    "RELAY_ENV_JSON": "nothing: set each variable by its own name",
    "RELAY_ENV_JSON_REQUIRED_KEYS": "nothing: a setting that is missing ends the start",
    "APP_ENV_JSON": "nothing: set each variable by its own name",
    "APP_ENV_JSON_REQUIRED_KEYS": "nothing: a setting that is missing ends the start",
    "NODE_ENV": "nothing: RELAY_API_SECRET is needed everywhere",
    "ALERT_WEBHOOK_URL": "alerts on the metrics, see docs/operating.md",
    "PAGARME_WEBHOOK_SECRET": "nothing: the old relay only logged these calls",
    "DATABASE_URL": "nothing: the old relay kept routers there, which are Devices now",
    "RELAY_DATABASE_URL": "nothing: the old relay never used it",
    "RELAY_DB_SSL": "nothing: the old relay never used it",
    "RELAY_DB_POOL_SIZE": "nothing: the old relay never used it",
    "RELAY_DB_IDLE_MS": "nothing: the old relay never used it",
    "BACKEND_REPORT_URL": "nothing: the old relay never called it",
}
"""Variables of the old relay that no process reads, and what has taken their
place.
"""


def known_variables() -> frozenset[str]:
    """Return the variables that the bridge reads."""
    names: set[str] = set()
    for field_name, field in BridgeSettings.model_fields.items():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            names |= {str(choice) for choice in alias.choices}
        else:
            names.add(str(alias or f"CEREBRO_{field_name.upper()}"))

    return frozenset(names)


def warnings(environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable of the old relay that is set and
    does nothing, or whose value is raised; it names the variable, never the
    value.
    """
    known = known_variables()
    sentences = floors.warnings(BridgeSettings, environment)
    for name in sorted(environment):
        if name in known or not environment[name]:
            continue

        replacement = REPLACED.get(name)
        if replacement is not None:
            sentences.append(
                f"{name} is set and does nothing here; in its place: {replacement}"
            )
        elif name.startswith("RELAY_"):
            sentences.append(
                f"{name} is set, and is no setting: see docs/settings.md"
            )

    return sentences
