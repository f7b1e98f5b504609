"""What a Device that comes over HTTP says besides: the old relay's settings of
routers are defaults of the Devices that the bridge makes (F5).

A Device that exists keeps what it says.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from cerebro.resources.values import format_duration
from cerebro.runtime.floors import Floor
from cerebro.runtime.settings import BasicSettings

_LONGEST_OFFLINE = 7 * 86_400
"""Seconds: the longest `offlineAfter` of a Device."""


class DeviceSettings(BasicSettings):
    """Defaults of new Devices; what is not set is the Device's own default."""

    offline_max_age: int | None = Field(
        default=None,
        ge=0,
        le=_LONGEST_OFFLINE,
        validation_alias="RELAY_OFFLINE_MAX_AGE_SEC",
        description="spec.offlineAfter of Devices that come over HTTP, in seconds; 0: the longest, 168h.",
    )
    mikrotik_port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        validation_alias="MIKROTIK_PORT",
        description="spec.api.port of Devices that come over HTTP.",
    )
    mikrotik_timeout_ms: Annotated[
        int | None, Field(le=120_000), Floor(1_000)
    ] = Field(
        default=None,
        validation_alias="MIKROTIK_TIMEOUT_MS",
        description="spec.api.timeout of Devices that come over HTTP.",
    )
    failure_threshold: int | None = Field(
        default=None,
        ge=1,
        le=1_000,
        validation_alias="CB_FAILURE_THRESHOLD",
        description="spec.circuitBreaker.failureThreshold of Devices that come over HTTP.",
    )
    recovery_timeout_ms: Annotated[
        int | None, Field(le=86_400_000), Floor(1_000)
    ] = Field(
        default=None,
        validation_alias="CB_RECOVERY_TIMEOUT_MS",
        description="spec.circuitBreaker.recoveryTime of Devices that come over HTTP.",
    )
    paid_clients_list: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        validation_alias="RELAY_PAID_CLIENTS_LIST",
        description="spec.access.addressList of Devices that come over HTTP.",
    )
    paid_binding_type: Literal["bypassed", "regular"] | None = Field(
        default=None,
        validation_alias="RELAY_PAID_BINDING_TYPE",
        description="spec.access.bindingType of Devices that come over HTTP.",
    )

    def with_device_defaults(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Return the spec of a new Device, under wire names, with what is set
        here; what the spec says already counts.
        """
        parts: dict[str, dict[str, Any]] = {
            "api": {
                "port": self.mikrotik_port,
                "timeout": _milliseconds(self.mikrotik_timeout_ms),
            },
            "circuitBreaker": {
                "failureThreshold": self.failure_threshold,
                "recoveryTime": _milliseconds(self.recovery_timeout_ms),
            },
            "access": {
                "addressList": self.paid_clients_list,
                "bindingType": self.paid_binding_type,
            },
        }
        completed = dict(spec)
        for part, fields in parts.items():
            given = _given(fields) | spec.get(part, {})
            if given:
                completed[part] = given

        if self.offline_max_age is not None:
            seconds = self.offline_max_age or _LONGEST_OFFLINE
            length = format_duration(timedelta(seconds=seconds))
            completed.setdefault("offlineAfter", length)

        return completed


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _milliseconds(value: int | None) -> str | None:
    if value is None:
        return None

    return format_duration(timedelta(milliseconds=value))
