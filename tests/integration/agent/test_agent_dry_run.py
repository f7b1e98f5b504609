"""An agent with CEREBRO_DRY_RUN: all its Devices say what would change, and no router is written to (rule F6)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from integration.agent.relay import Relay
from integration.agent.router import CERTAIN

MAC, IP = "AA:BB:CC:00:0F:01", "10.5.50.61"


def plans(relay: Relay) -> str:
    """Return what `cerebro plan --all` prints."""
    kubeconfig = relay.plane.account_kubeconfig(
        "cerebro-agent", relay.namespace
    )
    program = str(Path(sys.executable).with_name("cerebro"))
    words = ["--kubeconfig", str(kubeconfig), "--namespace", relay.namespace]
    done = subprocess.run(
        [program, "plan", "--all", *words],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=CERTAIN,
    )

    return done.stdout


def test_f6_everything_is_in_dry_run_by_a_setting_of_the_agent(
    relay: Relay,
) -> None:
    agent = relay.agent(CEREBRO_DRY_RUN="true").start()
    router = relay.router()
    router.move_in(MAC, IP)
    relay.session("rehearsed", router.name, MAC, IP, duration="1h")

    waiting = relay.until_condition(
        "Session", "rehearsed", "Ready", "False", "DryRun"
    )
    assert "CEREBRO_DRY_RUN of the agent" in waiting["message"]
    ready = relay.until_condition(
        "Device", router.name, "Ready", "False", "DryRun"
    )
    assert "CEREBRO_DRY_RUN of the agent" in ready["message"]

    relay.until(lambda: MAC in plans(relay), "the plan", lambda: plans(relay))
    assert router.writes() == 0
    assert not router.forwards(MAC)
    assert "CEREBRO_DRY_RUN is true" in agent.output()
    assert agent.facts()["dryRun"] is True
    agent.end()

    # Without the setting the same is done.
    relay.agent().start()
    router.lets_in(MAC)
    relay.until_active("rehearsed")
    relay.until(
        lambda: "plan" not in relay.status(router.name, "Device"),
        "no plan any more",
    )
