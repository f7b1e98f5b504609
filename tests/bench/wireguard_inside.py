"""Runs in the virtual machine: times `wg` and our backend at the same work and writes the times as JSON.

`python -m bench.wireguard_inside FILE PEERS ROUNDS`. Each round has two new interfaces with one key and the same
peers, one filled by `wg`, one by us. `wg` is a process each time, as whoever uses it must start one; ours is one
that is there, as the agent is. What each of us read last must be the same.
"""

from __future__ import annotations

import base64
import gc
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from cerebro.cli.main import GARBAGE
from cerebro.wireguard.kernel import Kernel
from cerebro.wireguard.keys import derive_public_key, generate_private_key
from cerebro.wireguard.model import DesiredPeer, Interface, PeerChange
from cerebro.wireguard.plan import plan_peers

ADDITIONS = 10
"""Peers that are added one by one, and reads, in each round."""

PASSES = 5
"""Passes without a difference in each round, as they come again and again; the first reads peers it does not know."""


class Bench:
    """The work, at one number of peers; `times` has the seconds by `who: what`."""

    def __init__(self, folder: Path, peers: int) -> None:
        self.times: dict[str, list[float]] = {}
        self._backend = Kernel()
        self._private_key = generate_private_key()
        self._desired = {
            peer.public_key: peer for peer in map(_peer, range(peers))
        }
        self._more = [_peer(peers + number) for number in range(ADDITIONS)]
        self._config = folder / "wg.conf"
        lines = ["[Interface]", f"PrivateKey = {self._private_key}"]
        for peer in self._desired.values():
            lines += [
                "[Peer]",
                f"PublicKey = {peer.public_key}",
                f"AllowedIPs = {min(peer.allowed_ips)}",
            ]
        self._config.write_text("\n".join(lines) + "\n")

    def round(self, number: int) -> None:
        """Do all of it once with each of both."""
        theirs, ours = (
            f"{len(self._desired)}-{number}-wg",
            f"{len(self._desired)}-{number}-we",
        )
        for name in (theirs, ours):
            subprocess.run(
                ["ip", "link", "add", name, "type", "wireguard"], check=True
            )
        self._read(ours)  # an agent that is there has its sockets open
        self._time("wg: apply", lambda: _wg("setconf", theirs, self._config))
        self._time("we: apply", lambda: self._apply(ours))
        for _ in range(PASSES):
            self._time(
                "wg: no difference",
                lambda: _wg("syncconf", theirs, self._config),
            )
            self._time("we: no difference", lambda: self._no_difference(ours))
        for peer in self._more:
            words = (
                "set",
                theirs,
                "peer",
                peer.public_key,
                "allowed-ips",
                min(peer.allowed_ips),
            )
            self._time("wg: add one", partial(_wg, *words))
            self._time("we: add one", partial(self._add, ours, peer))
        for _ in range(3):
            self._time("wg: read", lambda: _wg("show", theirs, "dump"))
            self._time("we: read", lambda: self._read(ours))
        found, wanted = self._read(ours), self._read(theirs)
        assert (
            found.public_key
            == wanted.public_key
            == derive_public_key(self._private_key)
        )
        assert found.peers == wanted.peers
        assert len(found.peers) == len(self._desired) + ADDITIONS

    def _time(self, what: str, act: Callable[[], object]) -> None:
        start = time.perf_counter()
        act()
        self.times.setdefault(what, []).append(time.perf_counter() - start)

    def _read(self, name: str) -> Interface:
        found = self._backend.read(name)
        assert found is not None
        return found

    def _changes(self, name: str) -> list[PeerChange]:
        return plan_peers(self._desired, self._read(name), now=time.time())

    def _apply(self, name: str) -> None:
        """What a pass does on an interface that was just made: read, key, plan, peers."""
        changes = self._changes(name)
        self._backend.set_device(name, private_key=self._private_key)
        assert self._backend.set_peers(name, changes) == {}

    def _no_difference(self, name: str) -> None:
        assert self._changes(name) == []

    def _add(self, name: str, peer: DesiredPeer) -> None:
        change = PeerChange(
            peer.public_key, allowed_ips=tuple(peer.allowed_ips)
        )
        assert self._backend.set_peers(name, [change]) == {}


def _peer(number: int) -> DesiredPeer:
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return DesiredPeer(
        key,
        frozenset(
            {f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}/32"}
        ),
    )


def _wg(*words: str | Path) -> None:
    subprocess.run(["wg", *words], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Do the rounds and write the times."""
    gc.set_threshold(*GARBAGE)  # as in the agent
    file, peers, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    bench = Bench(file.parent, peers)
    for number in range(rounds):
        bench.round(number)
        print(f"{peers} peers, round {number + 1} of {rounds}", flush=True)
    file.write_text(json.dumps(bench.times))


if __name__ == "__main__":
    main()
