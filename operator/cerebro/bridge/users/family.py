"""Puts together what hotspot users need."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cerebro.bridge.orders.sessions import Sessions
from cerebro.bridge.orders.users.executor import UserExecutor
from cerebro.bridge.orders.users.secrets import UserSecrets
from cerebro.bridge.settings import BridgeSettings
from cerebro.bridge.store.base import OrderStore
from cerebro.bridge.users.upkeep import UserSecretsUpkeep
from cerebro.domain.lifecycle import GrantWindows
from cerebro.kube.cache.store import Store
from cerebro.kube.client.api import KubeApi


@dataclass(frozen=True, slots=True)
class UserFamily:
    """The hotspot users of one namespace."""

    secrets: UserSecrets
    executor: UserExecutor
    upkeep: UserSecretsUpkeep


def make_users(
    api: KubeApi,
    objects: Store,
    sessions: Sessions,
    settings: BridgeSettings,
    store: OrderStore,
    *,
    windows: GrantWindows,
    default_paid: timedelta | None,
) -> UserFamily:
    """Return the parts, wired together."""
    token = settings.relay_token.get_secret_value()
    secrets = UserSecrets(api, settings.namespace, token.encode())
    executor = UserExecutor(
        sessions,
        store,
        secrets,
        windows=windows,
        default_paid=default_paid,
    )
    upkeep = UserSecretsUpkeep(api, sessions, secrets, objects)

    return UserFamily(secrets, executor, upkeep)
