"""Policies of router users: the universe of version 7, built-in groups, a
user's rights.
"""

from __future__ import annotations

from dataclasses import dataclass

from simulator.errors import not_permitted

POLICIES = (
    "local",
    "telnet",
    "ssh",
    "ftp",
    "reboot",
    "read",
    "write",
    "policy",
    "test",
    "winbox",
    "password",
    "web",
    "sniff",
    "sensitive",
    "api",
    "romon",
    "rest-api",
)

BUILT_IN_GROUPS = {
    "read": frozenset(POLICIES) - {"ftp", "write", "policy"},
    "write": frozenset(POLICIES) - {"ftp", "policy"},
    "full": frozenset(POLICIES),
}


@dataclass(frozen=True)
class Rights:
    """Who acts and what the group allows."""

    user: str
    policies: frozenset[str]

    def need(self, *policies: str) -> None:
        """Raise the router's trap unless all policies are granted."""
        if not self.policies.issuperset(policies):
            raise not_permitted()


ROOT = Rights("", frozenset(POLICIES))
"""A person at the router."""
