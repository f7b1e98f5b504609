"""The demo: a relay of its own is started, a person declares a router, and the
story of `story.py` is played.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx

from backend.billing import Billing
from backend.feed import Feed
from controlplane.server import ControlPlane
from demo.stage import NotSeenError, Stage, leftover
from demo.story import CHAPTERS, ready
from local.relay import manifests, prepare, reached, start
from local.settings import NAMESPACE, draw
from local.tunnels import HUB, Tunnels, why_not


def main() -> int:
    """Play the story in a relay of its own; what was not seen is said, and is
    the exit status.
    """
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="cerebro-demo-"))
    settings = draw(1)
    failure: str | None = None
    seen: list[str] = []
    stack = ExitStack()
    try:
        supervisor, tunnels = prepare(stack, settings, folder)
        plane = start(supervisor, settings, folder, tunnels)
        billing = stack.enter_context(
            Billing(
                settings.bridge_url,
                settings.secrets["RELAY_TOKEN"],
                settings.secrets["RELAY_API_SECRET"],
            )
        )
        feed = stack.enter_context(Feed(settings.backend_url))
        stage = Stage(
            partial(plane.kubectl, "--namespace", NAMESPACE),
            settings.simulator_url,
            settings.routers[0],
            billing,
            feed,
            began,
            seen,
        )
        stage.tell(
            "control plane, CRDs, roles, operator, bridge, agent and a simulated router are up"
        )
        declare(stage, plane, tunnels)
        for chapter in CHAPTERS:
            chapter(stage)
    except (
        NotSeenError,
        RuntimeError,
        TimeoutError,
        httpx.HTTPError,
    ) as error:
        failure = f"{error}"
    except KeyboardInterrupt:
        failure = "interrupted"
    finally:
        stack.close()
    left = leftover(folder)
    if left and failure is None:
        failure = f"still running: {left}"
    if failure is None:
        shutil.rmtree(folder)
    return _summary(failure, seen, began, folder)


def _summary(
    failure: str | None, seen: list[str], began: float, folder: Path
) -> int:
    print(
        f"\n{'═' * 78}\n Summary: {len(seen)} facts seen in {time.monotonic() - began:.0f} s; all is stopped again"
    )
    print("═" * 78)
    for fact in seen:
        print(f"  ✓ {fact}")
    if failure is not None:
        print(
            f"  ✗ {failure}\n\nThe demo failed; logs: {folder / 'log'}",
            file=sys.stderr,
        )
        return 1
    return 0


def declare(
    stage: Stage, plane: ControlPlane, tunnels: Tunnels | None
) -> None:
    """A person applies a Device, and a Hub that it dials where WireGuard can
    run.
    """
    what = (
        "a router" if tunnels is None else "a Hub, and a router that dials it,"
    )
    stage.chapter(f"A person declares {what} with kubectl")
    wanted = json.dumps(manifests((stage.router,), tunnels))
    stage.kubectl("apply", "--server-side", "-f", "-", stdin=wanted)
    if tunnels is None:
        stage.tell(reached(why_not(1)))
    else:
        dial(stage, plane, tunnels)
    stage.until(
        "the Device is Ready: the agent logged in to the router and compared it",
        lambda: ready(stage),
    )
    stage.kubectl("get", "devices")


def dial(stage: Stage, plane: ControlPlane, tunnels: Tunnels) -> None:
    """The router dials the Hub; a person has given it the address and the key
    that are in the statuses.
    """
    tunnels.connect(plane)
    stage.until(
        "the Hub is Ready: its interface is up",
        lambda: ready(stage, "hub", HUB),
    )
    peer = stage.get("device", stage.router.name)["status"]["peerName"]
    stage.until(
        "the router has shaken hands with the Hub: its Peer is Online and Ready",
        lambda: (
            ready(stage, "peer", peer)
            and stage.get("peer", peer)["status"].get("state") == "Online"
        ),
        lambda: stage.get("peer", peer).get("status"),
    )
    stage.tell(reached(None))
    stage.kubectl("get", "hubs,peers")


if __name__ == "__main__":
    os.environ["PYTHONUNBUFFERED"] = "1"
    sys.exit(main())
