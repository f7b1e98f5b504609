"""The adapter to nftables: runs the program `nft`, in JSON over its standard
streams. Decides nothing.

Calls block, for at most their deadline, and belong in a thread. What a failure
of nft means is read from its message, which has the text of strerror(3) in the
C locale.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence

from cerebro.wireguard.backend import (
    IsolationNotAvailable,
    NotPermitted,
    WireGuardError,
)
from cerebro.wireguard.isolation import FAMILY, NftObject, removal, table_name

DEADLINE = 10.0
"""Seconds that one run may take."""

SYSTEM_FOLDERS = "/usr/sbin:/sbin"
"""Where nft is on a node whose PATH lacks them."""

WAY_OUT = (
    "or set isolation: None on the Hub, which then keeps no peer from another"
)


class NftError(WireGuardError):
    """nft refused something, for another reason than those below."""

    reason = "IsolationFailed"


class Nft:
    """Reads and writes the isolation tables. Each call raises WireGuardError."""

    def __init__(
        self, program: str = "nft", *, deadline: float = DEADLINE
    ) -> None:
        self._program = program
        self._deadline = deadline

    def read(self, interface: str) -> list[NftObject] | None:
        """Return the objects of an interface's table as nft lists them; None
        if no such table exists.
        """

        table = {"family": FAMILY, "name": table_name(interface)}
        result = self._run([{"list": {"table": table}}])
        if result.returncode == 0:
            objects: list[NftObject] = json.loads(result.stdout)["nftables"]
            return objects

        if "No such file or directory" in result.stderr:
            return None

        raise _error(result.stderr)

    def apply(self, commands: Sequence[NftObject]) -> None:
        """Run the commands as one transaction: all of them, or none."""
        result = self._run(commands)
        if result.returncode != 0:
            raise _error(result.stderr)

    def drop(self, interface: str) -> None:
        """Remove an interface's table; it is no error if none exists, nor if
        the node has no nftables.
        """
        try:
            if self.read(interface) is not None:
                self.apply(removal(interface))
        except IsolationNotAvailable:
            return

    def _run(
        self, commands: Sequence[NftObject]
    ) -> subprocess.CompletedProcess[str]:
        """Run nft with these commands. Raises IsolationNotAvailable if the
        node has no nft, NftError.
        """
        program = shutil.which(self._program) or shutil.which(
            self._program, path=SYSTEM_FOLDERS
        )

        if program is None:
            raise IsolationNotAvailable(
                f"isolation: Strict needs the program nft, which this node lacks: install nftables, {WAY_OUT}"
            )

        try:
            return subprocess.run(  # noqa: S603 - the program is looked up above, the arguments are ours
                [program, "-j", "-f", "-"],
                input=json.dumps({"nftables": list(commands)}),
                env=os.environ | {"LC_ALL": "C"},
                capture_output=True,
                text=True,
                timeout=self._deadline,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise NftError(
                f"nft gave no answer within {self._deadline:.0f} s"
            ) from error
        except OSError as error:
            raise NftError(f"nft does not start: {error.strerror}") from error


def _error(complaint: str) -> WireGuardError:
    """Return the error that says what to do about a complaint of nft."""
    text = " ".join(complaint.split())[:300]
    if "Operation not permitted" in text or "Permission denied" in text:
        return NotPermitted(
            f"isolation: Strict needs the capability NET_ADMIN to write nftables: give it to the agent, {WAY_OUT}"
        )

    signs = (
        "not supported",
        "No such file or directory",
        "Unable to initialize",
    )

    if any(sign in text for sign in signs):
        return IsolationNotAvailable(
            "this node's kernel lacks a part of nftables: load the modules nf_tables, nf_conntrack and nft_ct, "
            f"{WAY_OUT}; nft says: {text}"
        )

    return NftError(f"nft refused: {text}")
