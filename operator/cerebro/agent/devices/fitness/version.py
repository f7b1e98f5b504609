"""Whether we know a router's version of RouterOS. Pure."""

from __future__ import annotations

import re

from cerebro.agent.devices.model import DeviceWarning, RouterFacts
from cerebro.routeros.client.errors import RouterError

Version = tuple[int, int]
"""Major and minor number."""

_OLDEST_SERVED = 7
"""The first major version that is written to: before it, menus and replies
differ.
"""

_FIRST_TESTED: Version = (7, 10)
_LAST_TESTED: Version = (7, 23)

_NUMBERS = re.compile(r"(\d{1,4})\.(\d{1,4})")


class VersionNotSupported(RouterError):
    """The router runs a version that nothing is written to."""


def check_version(facts: RouterFacts) -> None:
    """Raise VersionNotSupported if the router runs RouterOS 6 or older.

    A version that cannot be read is taken as a newer one.
    """
    version = _numbers(facts.version)

    if version is None or version[0] >= _OLDEST_SERVED:
        return

    raise VersionNotSupported(
        f"the router runs RouterOS {facts.version}, and nothing is written to it: "
        "upgrade it to RouterOS 7.10 or newer, or delete the Device"
    )


def version_warnings(facts: RouterFacts) -> tuple[DeviceWarning, ...]:
    """Return a warning if the router runs a version that is not among those
    tested; it is served all the same.
    """
    if facts.version is None:
        return ()

    version = _numbers(facts.version)
    is_tested = (
        version is not None and _FIRST_TESTED <= version <= _LAST_TESTED
    )

    if is_tested:
        return ()

    message = (
        f"RouterOS {facts.version} is not among the versions tested (7.10 to 7.23); the router is served all the same. "
        "If entries are refused, install a tested version"
    )

    return (DeviceWarning("VersionNotTested", message),)


def _numbers(version: str | None) -> Version | None:
    """Return the numbers of `7.21.5 (stable)` or `7.24beta2`; None if there
    are none.
    """
    match = _NUMBERS.match((version or "").strip())
    if match is None:
        return None

    return int(match[1]), int(match[2])
