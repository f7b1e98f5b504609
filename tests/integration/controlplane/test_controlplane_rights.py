"""The accounts of `deploy/` in a test's own namespace: real CRDs, real roles, real tokens."""

from collections.abc import Callable
from pathlib import Path

import pytest

from controlplane.server import ControlPlane


def test_a_process_reads_our_kinds_in_its_namespace_and_cannot_list_secrets(
    control_plane: ControlPlane,
    namespace: str,
    account_kubeconfig: Callable[[str], Path],
) -> None:
    """D1: no account lists Secrets, and none has rights outside of its namespace."""
    for account in ("cerebro-agent", "cerebro-operator"):
        own = ("--kubeconfig", str(account_kubeconfig(account)), "get")
        for plural in (
            "hubs",
            "peers",
            "devices",
            "sessions",
            "devicecommands",
        ):
            assert (
                control_plane.kubectl(
                    *own, f"{plural}.relay.cerebro.dev", "-o", "name"
                )
                == ""
            )
        with pytest.raises(
            RuntimeError,
            match=rf"{namespace}:{account}.* cannot list .*secrets",
        ):
            control_plane.kubectl(*own, "secrets")
        with pytest.raises(RuntimeError, match="cannot list"):
            control_plane.kubectl(
                *own, "sessions.relay.cerebro.dev", "--namespace", "default"
            )
