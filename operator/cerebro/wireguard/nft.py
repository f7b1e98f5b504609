"""The adapter to nftables: the `nft` program, spoken to in JSON over its standard streams. Decides nothing.

Calls block, for at most their deadline, and belong in a thread. What a failure of nft means is read from its
words, which are those of strerror(3) in the C locale.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence

from cerebro.wireguard.backend import IsolationNotAvailable, NotPermitted, WireGuardError
from cerebro.wireguard.isolation import FAMILY, NftObject, removal, table_name

DEADLINE = 10.0
"""Seconds that one run may take."""
SYSTEM_FOLDERS = "/usr/sbin:/sbin"
WAY_OUT = "or set isolation: None on the Hub, which then keeps no peer from another"


class NftError(WireGuardError):
    """nft refused something, for another reason than those below."""

    reason = "IsolationFailed"


class Nft:
    """Reads and writes the tables of ours; each call raises WireGuardError."""

    def __init__(self, program: str = "nft", *, deadline: float = DEADLINE) -> None:
        self._program, self._deadline = program, deadline

    def read(self, interface: str) -> list[NftObject] | None:
        """Return the objects of the interface's table as nft lists them; None when there is none."""
        table = {"family": FAMILY, "name": table_name(interface)}
        status, output, complaint = self._run([{"list": {"table": table}}])
        if status == 0:
            listed: list[NftObject] = json.loads(output)["nftables"]
            return listed
        if "No such file or directory" in complaint:
            return None
        raise _error(complaint)

    def apply(self, commands: Sequence[NftObject]) -> None:
        """Run the commands as one transaction: all of them, or none."""
        status, _, complaint = self._run(commands)
        if status != 0:
            raise _error(complaint)

    def drop(self, interface: str) -> None:
        """Remove the interface's table; none is no error, nor is a node without nftables."""
        try:
            if self.read(interface) is not None:
                self.apply(removal(interface))
        except IsolationNotAvailable:
            return

    def _run(self, commands: Sequence[NftObject]) -> tuple[int, str, str]:
        program = shutil.which(self._program) or shutil.which(self._program, path=SYSTEM_FOLDERS)
        if program is None:
            raise IsolationNotAvailable(
                f"isolation: Strict needs the program nft, which this node lacks: install nftables, {WAY_OUT}"
            )
        try:
            done = subprocess.run(  # noqa: S603 - found above, words are ours
                [program, "-j", "-f", "-"],
                input=json.dumps({"nftables": list(commands)}),
                env=os.environ | {"LC_ALL": "C"},
                capture_output=True,
                text=True,
                timeout=self._deadline,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise NftError(f"nft gave no answer within {self._deadline:.0f} s") from error
        except OSError as error:
            raise NftError(f"nft does not start: {error.strerror}") from error
        return done.returncode, done.stdout, done.stderr


def _error(complaint: str) -> WireGuardError:
    said = " ".join(complaint.split())[:300]
    if "Operation not permitted" in said or "Permission denied" in said:
        return NotPermitted(
            f"isolation: Strict needs the capability NET_ADMIN to write nftables: give it to the agent, {WAY_OUT}"
        )
    if any(one in said for one in ("not supported", "No such file or directory", "Unable to initialize")):
        return IsolationNotAvailable(
            "this node's kernel lacks a part of nftables: load the modules nf_tables, nf_conntrack and nft_ct, "
            f"{WAY_OUT}; nft says: {said}"
        )
    return NftError(f"nft refused: {said}")
