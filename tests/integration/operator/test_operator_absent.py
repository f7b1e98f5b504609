"""What the operator says where somebody is absent: an agent (E12), or a Device (A5, A8)."""

from __future__ import annotations

import json
import re
import signal
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Cluster, OperatorProcess

READY = {
    "type": "Ready",
    "status": "True",
    "reason": "Converged",
    "message": "",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
LOST = ("Unknown", "AgentLost")


def agent_says_ready(cluster: Cluster, device: str) -> None:
    """Write the Device's status as an agent does: by server-side apply under a name of its own."""
    manifest = {
        "apiVersion": "relay.cerebro.dev/v1alpha1",
        "kind": "Device",
        "metadata": {"name": device},
        "status": {
            "conditions": [READY],
            "sessions": {"active": 1, "pending": 0},
        },
    }
    how = (
        "--server-side",
        "--force-conflicts",
        "--subresource=status",
        "--field-manager=cerebro-agent",
    )
    cluster.kubectl("apply", *how, "-f", "-", stdin=json.dumps(manifest))


def test_e12_lost_agent_is_said_and_goes_when_it_is_back(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    """The Hub is a witness: its AgentLost is withdrawn by a look at the Leases that saw the agent back."""
    lost_after = 12
    leases = ("cerebro-direct", "cerebro-agent-node-1")
    cluster.device("r1")
    cluster.hub("hub", "node-1")
    for lease in leases:
        cluster.renew(lease, "node-1")
    agent_says_ready(cluster, "r1")
    operator.start(CEREBRO_AGENT_LOST_AFTER=str(lost_after))
    cluster.until(
        lambda: cluster.ready("device", "r1") == LOST, "AgentLost is said"
    )
    cluster.until(
        lambda: cluster.ready("hub", "hub") == LOST,
        "AgentLost is said of the Hub",
    )
    status = cluster.get("device", "r1")["status"]
    assert status["sessions"]["active"] == 1, "only Ready is the operator's"
    assert "node-1" in status["conditions"][0]["message"]
    with cluster.renewing(*leases):
        cluster.until(
            lambda: cluster.ready("hub", "hub") is None,
            "the agent is seen to be back",
        )
        agent_says_ready(cluster, "r1")
        until = time.monotonic() + lost_after + 3
        while time.monotonic() < until:
            assert cluster.ready("device", "r1") == ("True", "Converged"), (
                "it does not come back"
            )
            time.sleep(0.2)


def test_e12_no_agent_ever(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    cluster.device("r1")
    operator.start()
    cluster.until(
        lambda: cluster.ready("device", "r1") == LOST, "AgentLost is said"
    )
    assert (
        "no agent has ever"
        in cluster.get("device", "r1")["status"]["conditions"][0]["message"]
    )


def test_e12_hub_of_a_lost_node_and_what_only_we_said_is_withdrawn(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    cluster.hub("hub", "node-1")
    operator.start()
    cluster.until(
        lambda: cluster.ready("hub", "hub") == LOST, "AgentLost is said"
    )

    def is_withdrawn() -> bool:
        cluster.renew("cerebro-agent-node-1", "node-1")
        return cluster.ready("hub", "hub") is None

    cluster.until(is_withdrawn, "nobody else says anything of this Hub")

    # The story of it.
    def is_told() -> bool:
        text = cluster.kubectl("describe", "hub", "hub")
        events = text.partition("\nEvents:")[2]
        lines = [line.split()[:2] for line in events.splitlines()]
        return (
            ["Warning", "AgentLost"] in lines
            and ["Normal", "AgentBack"] in lines
            and "relay.cerebro.dev/operator" in events
        )

    cluster.until(is_told, "kubectl describe tells it")


def test_e11_the_operators_probes_name_their_checks(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    operator.start()
    cluster.until(
        lambda: operator.log.exists() and operator.says("probes and metrics"),
        "it listens",
    )
    (address,) = re.findall(
        r"probes and metrics on (127\.0\.0\.1:\d+)", operator.log.read_text()
    )

    def page(path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://{address}{path}") as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return f"{error.code}"

    cluster.until(lambda: page("/readyz") == "ok", "it is ready")
    for path, ready in (("/healthz", 0), ("/livez", 0), ("/readyz", 1)):
        assert page(path) == "ok"
        verbose = json.loads(page(f"{path}?verbose"))
        assert verbose["ok"]
        assert set(verbose["checks"].values()) == {"ok"}
        assert {"watcher", "agents", "finalizers"} <= verbose["checks"].keys()
        assert ("permitted" in verbose["checks"]) == bool(ready)
        assert {"lease", "storeComplete"} <= verbose["facts"].keys()


def test_a8_session_without_a_device_waits_and_is_then_failed(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    cluster.session("waits", "nowhere")
    cluster.session("late", "nowhere", grantBefore="2026-01-01T00:00:00Z")
    operator.start()
    cluster.until(
        lambda: (
            cluster.ready("session", "waits") == ("Unknown", "DeviceNotFound")
        ),
        "DeviceNotFound",
    )
    cluster.until(
        lambda: cluster.ready("session", "late") == ("False", "NeverGranted"),
        "NeverGranted",
    )
    late, waits = (
        cluster.get("session", "late")["status"],
        cluster.get("session", "waits")["status"],
    )
    assert (late["phase"], late["finished"]) == ("Failed", True)
    assert late["finishedAt"]
    assert waits["phase"] == "Pending"
    assert "finished" not in waits
    cluster.kubectl(
        "patch",
        "session",
        "late",
        "--type=merge",
        "-p",
        '{"spec": {"grantBefore": "2999-01-01T00:00:00Z"}}',
    )
    cluster.until(
        lambda: (
            cluster.ready("session", "late") == ("Unknown", "DeviceNotFound")
        ),
        "opened again",
    )
    assert not cluster.get("session", "late")["status"].get("finished")


def test_a8_sessions_of_a_deleted_device_finish_and_an_event_says_what_stays(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    cluster.device("r1")
    cluster.session("s1", "r1")
    applied = {"macAddress": "AA:BB:CC:00:00:01", "ipAddress": "10.5.50.9"}
    since = "2026-01-01T00:00:00Z"
    cluster.status(
        "session",
        "s1",
        phase="Active",
        authorizedAt=since,
        applied=applied,
        observedGeneration=1,
    )
    operator.start()
    cluster.until(
        lambda: operator.says("cerebro-operator is ours"),
        "the operator holds its Lease",
    )
    cluster.kubectl("delete", "device", "r1")
    cluster.until(
        lambda: cluster.ready("session", "s1") == ("False", "DeviceGone"),
        "DeviceGone",
    )
    status = cluster.get("session", "s1")["status"]
    assert (status["phase"], status["finished"]) == ("Failed", True)
    enforced = [
        item for item in status["conditions"] if item["type"] == "Enforced"
    ]
    assert enforced[0]["status"] == "Unknown"

    def event() -> bool:
        events = json.loads(cluster.kubectl("get", "events", "-o", "json"))[
            "items"
        ]
        said = [
            item["message"]
            for item in events
            if item["reason"] == "DeviceGone"
        ]
        return any(
            "10.5.50.9" in text and "AA:BB:CC:00:00:01" in text
            for text in said
        )

    cluster.until(event, "an Event says which entries stay")


def test_e12_one_whose_agent_is_lost_is_never_finished(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    cluster.device("r1")
    cluster.session(
        "s1", "r1", grantBefore="2026-01-01T00:00:00Z", revoked=True
    )
    cluster.session("s2", "nowhere", grantBefore="2026-01-01T00:00:00Z")
    operator.start()
    cluster.until(
        lambda: cluster.ready("device", "r1") == LOST, "AgentLost is said"
    )
    cluster.until(
        lambda: cluster.ready("session", "s2") is not None,
        "a search for orphans is over",
    )
    assert not cluster.get("session", "s1").get("status")


def test_commands_without_a_device_fail(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    cluster.command("c1", "nowhere", timeout="1s")
    operator.start()
    cluster.until(
        lambda: (
            cluster.ready("devicecommand", "c1") == ("False", "DeviceNotFound")
        ),
        "it fails",
    )
    status = cluster.get("devicecommand", "c1")["status"]
    assert (status["phase"], status["finished"]) == ("Failed", True)


def test_a10_superseding_goes_some_time_after_the_superseded_one(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    cluster.device("r1")
    cluster.session("from-git", "r1")
    cluster.session(
        "stands-in", "r1", supersedes={"name": "from-git"}, revoked=True
    )
    cluster.session(
        "stands-in-finished",
        "r1",
        supersedes={"name": "from-git"},
        revoked=True,
    )
    since = "2026-01-01T00:00:00Z"
    ended = {
        "phase": "Revoked",
        "finished": True,
        "finishedAt": since,
        "observedGeneration": 1,
    }
    cluster.status("session", "stands-in-finished", **ended)
    cluster.session("witness", "nowhere", grantBefore=since)
    operator.start()
    cluster.until(
        lambda: cluster.ready("session", "witness") is not None,
        "a search for orphans is over",
    )
    assert operator.end(signal.SIGKILL) == -signal.SIGKILL
    operator.start()
    assert cluster.get("session", "stands-in")
    cluster.kubectl("delete", "session", "from-git")
    cluster.until(
        lambda: not cluster.get("session", "stands-in"),
        "the unfinished one is deleted",
    )
    cluster.until(
        lambda: not cluster.get("session", "stands-in-finished"),
        "the finished one is deleted",
    )
