"""What the story acts on: where Cérebro runs, a router and its clients, and how
it tells what it sees.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from backend.billing import Billing
from backend.feed import Feed
from local.settings import Router

PATIENCE = 60.0
_RULE = "─" * 78


class NotSeenError(Exception):
    """A step did not become true."""


@dataclass
class Stage:
    """The parts of one run, and the story's clock."""

    run_kubectl: Callable[..., str]
    """Runs kubectl in our namespace; `stdin` is what it reads."""
    simulator_url: str
    """Where the simulator's control port listens."""
    router: Router
    """The router of the story."""
    billing: Billing
    feed: Feed
    began: float
    seen: list[str] = field(default_factory=list)
    step: int = 0

    def tell(self, text: str) -> None:
        """Print one line with the time since the start."""
        print(f"[{time.monotonic() - self.began:6.1f} s]  {text}", flush=True)

    def chapter(self, title: str) -> None:
        """Begin a step."""
        self.step += 1
        print(f"\n{_RULE}\n {self.step}. {title}\n{_RULE}", flush=True)

    def check(self, fact: str, holds: bool, found: object = "") -> None:
        """Note something that was looked at; raises NotSeenError when it is
        not so.
        """
        if not holds:
            raise NotSeenError(f"{fact}: not so; seen: {found}")
        self.seen.append(fact)
        self.tell(f"seen: {fact}")

    def until(
        self,
        fact: str,
        look: Callable[[], bool],
        found: Callable[[], object] = lambda: "",
    ) -> float:
        """Wait until something is so, and note it; returns the seconds that it
        took.
        """
        start = time.monotonic()
        while not look():
            if time.monotonic() - start > PATIENCE:
                raise NotSeenError(
                    f"{fact}: not so after {PATIENCE:.0f} s; seen: {found()}"
                )
            time.sleep(0.02)
        took = time.monotonic() - start
        self.seen.append(fact)
        self.tell(f"seen: {fact} (after {took:.2f} s)")
        return took

    # --- Kubernetes

    def kubectl(
        self, *words: str, stdin: str | None = None, show: bool = True
    ) -> str:
        """Run kubectl in our namespace; `show` prints the command and its
        output as a person would see them.
        """
        if show:
            print(f"\n$ kubectl {' '.join(words)}", flush=True)
        output = self.run_kubectl(*words, stdin=stdin)
        if show:
            print(output, flush=True)
        return output

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """Read one object."""
        found: dict[str, Any] = json.loads(
            self.kubectl("get", kind, name, "-o", "json", show=False)
        )
        return found

    def sessions(self) -> list[dict[str, Any]]:
        """Read all Sessions."""
        items: list[dict[str, Any]] = json.loads(
            self.kubectl("get", "sessions", "-o", "json", show=False)
        )["items"]
        return items

    # --- the router, by the simulator's control port

    def control(self, method: str, path: str, **body: Any) -> Any:
        """Call the simulator's control port about the story's router."""
        url = f"{self.simulator_url}/routers/{self.router.name}{path}"
        answer = httpx.request(method, url, json=body or None, timeout=10.0)
        answer.raise_for_status()
        return answer.json()

    def table(self, path: str) -> list[dict[str, str]]:
        """Read one menu of the router."""
        rows: list[dict[str, str]] = self.control(
            "GET", f"/tables?path={path}"
        )
        return rows

    def forwarded(self, mac: str, flow: str | None = None) -> bool:
        """Send a packet of a client to the internet and say whether the router
        forwarded it.
        """
        body = {"mac": mac} if flow is None else {"mac": mac, "flow": flow}
        return bool(self.control("POST", "/packets", **body)["forwarded"])

    def show_tables(self) -> None:
        """Print what the router itself says about access."""
        for path in ("/ip/hotspot/ip-binding", "/ip/firewall/address-list"):
            rows = self.table(path)
            print(
                f"\n[{self.router.user}@{self.router.name}] {path} print",
                flush=True,
            )
            shown = ("type", "mac-address", "list", "address", "comment")
            for row in rows:
                print(
                    "   "
                    + "  ".join(
                        f"{name}={row[name]}" for name in shown if name in row
                    )
                )
            if not rows:
                print("   (empty)")
        print(flush=True)

    # --- the backend

    def post(self, path: str, **body: Any) -> httpx.Response:
        """Send a signed call as the billing backend does, and print it with
        its answer.
        """
        start = time.monotonic()
        answer = self.billing.post(path, body)
        took = (time.monotonic() - start) * 1000
        self.tell(f"POST {path} {json.dumps(body)}")
        self.tell(f"  -> {answer.status_code} in {took:.0f} ms")
        return answer

    def offer(self, event_id: str, event_type: str, **payload: Any) -> None:
        """Put an event into the backend's feed, and print it."""
        event = self.feed.offer(event_id, event_type, **payload)
        self.tell(f"the backend offers {json.dumps(event)}")

    def acknowledged(self, event_id: str) -> None:
        """Wait for the ACK that says that an event was done, and print it as
        the backend took it.
        """
        self.until(
            f"the backend took the ACK of {event_id}: done",
            lambda: any(ack["ok"] for ack in self.feed.acks(event_id)),
            lambda: self.feed.acks(event_id),
        )
        for ack in self.feed.acks(event_id):
            self.tell(f"  ACK {json.dumps(ack)}")


def leftover(folder: Path) -> list[str]:
    """Return command lines of processes that still have files in `folder`."""
    listing = subprocess.run(
        ["ps", "-eo", "args"], check=True, capture_output=True, text=True
    ).stdout
    return [line for line in listing.splitlines() if str(folder) in line]
