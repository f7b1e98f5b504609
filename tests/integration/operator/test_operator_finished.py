"""What the operator does with finished Sessions and DeviceCommands."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import Cluster, OperatorProcess

LONG_AGO = "2026-01-01T00:00:00Z"
ENDED = {
    "phase": "Revoked",
    "finished": True,
    "finishedAt": LONG_AGO,
    "observedGeneration": 1,
}
LASTING = {"CEREBRO_LEASE_DURATION": "60"}
"""A Lease that does not run out before it can be given back."""


def holder(cluster: Cluster) -> str:
    return str(
        cluster.get("lease", "cerebro-operator")["spec"].get("holderIdentity")
        or ""
    )


def test_finished_ones_go_after_their_ttl_and_stay_without(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    cluster.device("r1")
    cluster.session("with-ttl", "r1", ttlAfterFinished="1h")
    cluster.session("without-ttl", "r1")
    cluster.session("unfinished", "r1", ttlAfterFinished="0s")
    cluster.command("done", "r1")
    for name in ("with-ttl", "without-ttl"):
        cluster.status("session", name, **ENDED)
    cluster.status(
        "devicecommand",
        "done",
        phase="Succeeded",
        finished=True,
        finishedAt=LONG_AGO,
    )
    operator.start()
    cluster.until(
        lambda: not cluster.get("session", "with-ttl"),
        "the Session is deleted",
    )
    cluster.until(
        lambda: not cluster.get("devicecommand", "done"),
        "the command is deleted",
    )
    assert cluster.get("session", "without-ttl")
    assert cluster.get("session", "unfinished")


def test_one_that_finishes_later_goes_when_its_time_comes(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    cluster.device("r1")
    cluster.session("soon", "r1", ttlAfterFinished="3s")
    operator.start()
    cluster.until(
        lambda: operator.says("cerebro-operator is ours"),
        "the operator holds its Lease",
    )
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    cluster.status("session", "soon", **{**ENDED, "finishedAt": now})
    cluster.until(
        lambda: not cluster.get("session", "soon"), "the Session is deleted"
    )


def test_changed_after_its_end_is_opened_again(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    """`finished` counts for observedGeneration: nothing but `finished` is written, and nothing is deleted."""
    cluster.device("r1")
    cluster.session("s1", "r1", revoked=True, ttlAfterFinished="0s")
    before = cluster.get("session", "s1")
    operator.start()
    cluster.until(
        lambda: operator.says("cerebro-operator is ours"),
        "the operator holds its Lease",
    )
    cluster.kubectl(
        "patch",
        "session",
        "s1",
        "--type=merge",
        "-p",
        '{"spec": {"revoked": false}}',
    )
    cluster.status("session", "s1", **ENDED)
    cluster.until(
        lambda: (
            cluster.get("session", "s1").get("status", {}).get("finished")
            is False
        ),
        "reopened",
    )
    after = cluster.get("session", "s1")
    assert after["status"] == {**ENDED, "finished": False}
    for part in ("annotations", "labels", "finalizers"):
        assert after["metadata"].get(part) == before["metadata"].get(part)


def test_e1_another_operator_waits_and_takes_over(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    """E1 and E14: only the holder of the Lease works; SIGTERM gives it back and ends with status 0."""
    cluster.device("r1")
    cluster.renew("cerebro-operator", "another")
    operator.start(**LASTING)
    cluster.session("s1", "r1", ttlAfterFinished="0s")
    cluster.status("session", "s1", **ENDED)
    for _ in range(5):
        cluster.renew("cerebro-operator", "another")
        assert cluster.get("session", "s1")
    cluster.kubectl(
        "patch",
        "lease",
        "cerebro-operator",
        "--type=merge",
        "-p",
        '{"spec": {"holderIdentity": ""}}',
    )
    cluster.until(
        lambda: not cluster.get("session", "s1"), "the Session is deleted"
    )
    for _ in range(5):
        cluster.until(
            lambda: holder(cluster) == "operator-under-test",
            "the operator holds its Lease",
        )
        assert operator.end(signal.SIGTERM) == 0
        if not holder(cluster):
            break
        # An API server that does not answer in time is not waited for; then it must say so.
        assert operator.says("was not released"), "it gives the Lease back"
        operator.start(**LASTING)
    assert not holder(cluster)


def test_killed_and_started_again_it_goes_on(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    cluster.device("r1")
    names = [f"s{number}" for number in range(6)]
    for name in names:
        cluster.session(name, "r1", ttlAfterFinished="0s")
    operator.start()
    for name in names:
        cluster.status("session", name, **ENDED)
        operator.end(signal.SIGKILL)
        operator.start()
    cluster.until(
        lambda: not any(cluster.get("session", name) for name in names),
        "all are deleted",
    )


def test_an_outage_of_the_api_server_ends_nothing(
    cluster: Cluster, operator: OperatorProcess
) -> None:
    """E10: the process lives on, deletes nothing meanwhile, and catches up."""
    cluster.device("r1")
    cluster.session("s1", "r1", ttlAfterFinished="0s")
    operator.start()
    cluster.until(
        lambda: operator.says("cerebro-operator is ours"),
        "the operator holds its Lease",
    )
    cluster.plane.stop_api_server()
    time.sleep(8)
    assert operator.runs()
    cluster.plane.start_api_server()
    cluster.status("session", "s1", **ENDED)
    cluster.until(
        lambda: not cluster.get("session", "s1"), "the Session is deleted"
    )
    assert operator.runs()
