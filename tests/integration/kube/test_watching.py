"""What a watcher with its Store lives through: rules E7, E10, E13 and that kopf leaves no trace."""

import asyncio
import json
import signal
import time
from pathlib import Path

from cerebro.kube.cache import kopf_tasks
from cerebro.kube.client import connection
from cerebro.kube.client.api import KubeApi
from cerebro.resources import PEER, SESSION, UNFINISHED, Kind
from cerebro.runtime import metrics
from controlplane import apply
from controlplane.proxy import FaultProxy, Request
from controlplane.server import ControlPlane
from integration.kube.conftest import (
    Watching,
    a_peer,
    a_session,
    proxied,
    until,
)

Agent = tuple[FaultProxy, KubeApi]


def restarts() -> float:
    return float(metrics.WATCHER_RESTARTS._value.get())


def sessions_list(request: Request) -> bool:
    return (
        request.list
        and request.resource == "sessions"
        and "includeObject" not in request.query
    )


async def test_objects_come_change_leave_the_selection_and_go(
    admin: KubeApi, agent: Agent, namespace: str
) -> None:
    await admin.create(SESSION, namespace, a_session("early"))
    async with Watching(agent[1], namespace) as watching:
        await watching.complete()
        assert watching.names() == {"early"}
        await admin.create(SESSION, namespace, a_session("late"))
        await watching.has("early", "late")
        await admin.patch(
            SESSION,
            namespace,
            "early",
            {"status": {"finished": True}},
            subresource="status",
        )
        await watching.has("late")
        await admin.patch(
            SESSION,
            namespace,
            "early",
            {"status": {"finished": False}},
            subresource="status",
        )
        await watching.has("early", "late")
        await admin.delete(SESSION, namespace, "late")
        await watching.has("early")


async def test_e7_a_deletion_while_the_watch_was_cut_and_etcd_compacted_is_found(
    control_plane: ControlPlane, admin: KubeApi, agent: Agent, namespace: str
) -> None:
    """kopf gets 410, lists again, and says nothing of what the list lacks: that is shown, too."""
    proxy, api = agent
    for name in ("stays", "goes"):
        await admin.create(SESSION, namespace, a_session(name))
    async with Watching(api, namespace) as watching:
        await watching.complete()
        watching.relisted.clear()
        await proxy.refuse()
        await admin.delete(SESSION, namespace, "goes")
        await asyncio.to_thread(control_plane.stop_api_server)
        try:
            await asyncio.to_thread(control_plane.compact)
        finally:
            await asyncio.to_thread(control_plane.start_api_server)
        assert watching.names() == {"stays", "goes"}
        await proxy.accept()
        await watching.has("stays")
        assert ("DELETED", "goes") not in watching.store.events
        await until(
            lambda: watching.sessions in watching.relisted, "kopf to list anew"
        )
        await admin.create(SESSION, namespace, a_session("new"))
        await watching.has("stays", "new")
        assert watching.intact()


async def test_e7_nothing_is_complete_before_a_slow_list_was_handed_over(
    admin: KubeApi, agent: Agent, namespace: str
) -> None:
    proxy, api = agent
    names = {f"s{number}" for number in range(20)}
    for name in names:
        await admin.create(SESSION, namespace, a_session(name))
    started = time.monotonic()
    slow = proxy.delay(3.0, matching=sessions_list)
    async with Watching(api, namespace) as watching:
        held: list[set[str]] = []
        watching.store.on_complete(
            lambda kind, _: (
                held.append(watching.names())
                if kind.kind == "Session"
                else None
            )
        )
        await until(lambda: slow.hits > 0, "the list of Sessions to begin")
        await asyncio.sleep(1.0)
        complete = watching.completeness.complete()
        assert not complete or time.monotonic() >= started + 3.0
        await watching.complete()
        assert held[0] == names


async def test_e10_a_spell_of_401_ends_nothing(
    admin: KubeApi, agent: Agent, namespace: str
) -> None:
    proxy, api = agent
    async with Watching(api, namespace) as watching:
        await watching.complete()
        before = restarts()
        spell = proxy.answer(401)
        proxy.cut_watches()
        await until(lambda: spell.hits >= 10, "ten refused requests")
        await admin.create(SESSION, namespace, a_session("meanwhile"))
        spell.end()
        await watching.has("meanwhile")
        assert watching.intact()
        assert restarts() == before


async def test_the_api_server_stops_and_starts_and_kopf_goes_on(
    control_plane: ControlPlane, admin: KubeApi, agent: Agent, namespace: str
) -> None:
    """Ten seconds at a back-off of at most 0.5 s are more tries than two minutes with the defaults."""
    _, api = agent
    async with Watching(api, namespace, check_interval=0.5) as watching:
        await admin.create(SESSION, namespace, a_session("before"))
        await watching.has("before")
        before = restarts()
        await asyncio.to_thread(control_plane.stop_api_server)
        try:
            await asyncio.sleep(10.0)
            assert watching.watcher.alive()
        finally:
            await asyncio.to_thread(control_plane.start_api_server)
        await admin.create(SESSION, namespace, a_session("after"))
        await watching.has("before", "after")
        assert watching.intact()
        assert restarts() == before


async def test_kopf_that_ends_is_started_again_and_nobody_else_is_harmed(
    admin: KubeApi, agent: Agent, namespace: str
) -> None:
    proxy, api = agent
    mine = signal.getsignal(signal.SIGTERM)
    async with Watching(api, namespace) as watching:
        await watching.complete()
        before = restarts()
        stranger = asyncio.create_task(asyncio.sleep(3600))
        proxy.answer(
            404,
            matching=lambda request: (
                request.watch and request.resource == "sessions"
            ),
            times=1,
        )
        proxy.cut_watches()
        await until(lambda: restarts() == before + 1, "kopf to end")
        await admin.create(SESSION, namespace, a_session("after"))
        await watching.has("after")
        assert watching.intact()
        assert not stranger.done()
        assert signal.getsignal(signal.SIGTERM) == mine

        def watchers() -> int:
            return sum(
                task.get_name().startswith("stream of")
                for task in kopf_tasks.running()
            )

        await until(lambda: watchers() == 2, "both watchers")
        stranger.cancel()
    assert kopf_tasks.running() == set()


async def test_crds_applied_again_under_load_lose_nothing(
    control_plane: ControlPlane, admin: KubeApi, agent: Agent, namespace: str
) -> None:
    async with Watching(agent[1], namespace) as watching:
        await watching.complete()
        names = [f"s{number}" for number in range(200)]

        async def load() -> None:
            for name in names:
                await admin.create(SESSION, namespace, a_session(name))

        writing = asyncio.create_task(load())
        for _ in range(3):
            await asyncio.to_thread(apply.apply_crds, control_plane)
        await writing
        await watching.has(*names)
        assert watching.intact()


async def test_watching_writes_nothing(
    admin: KubeApi, agent: Agent, namespace: str
) -> None:
    proxy, api = agent
    made = await admin.create(SESSION, namespace, a_session("mine"))
    async with Watching(api, namespace) as watching:
        await watching.complete()
        proxy.cut_watches()
        changed = await admin.patch(
            SESSION, namespace, "mine", {"spec": {"revoked": True}}
        )
        await until(
            lambda: (
                [
                    stored.resource_version
                    for stored in watching.store.all(SESSION, namespace)
                ]
                == [int(changed["metadata"]["resourceVersion"])]
            ),
            "the change",
        )
        await asyncio.sleep(1.0)
    after = await admin.get(SESSION, namespace, "mine")
    assert (
        after["metadata"]["resourceVersion"]
        == changed["metadata"]["resourceVersion"]
    )
    for meta in ("annotations", "finalizers", "labels"):
        assert after["metadata"].get(meta) == made["metadata"].get(meta)
    assert [request for request in proxy.requests if request.write] == []
    assert UNFINISHED in {
        request.query.get("fieldSelector") for request in proxy.requests
    }


async def test_e13_a_namespace_that_goes_removes_nothing(
    control_plane: ControlPlane, admin: KubeApi, agent: Agent, namespace: str
) -> None:
    """Its roles go, too: the agent loses the right to see that it goes."""
    names = [f"s{number}" for number in range(12)]
    for name in names:
        await admin.create(SESSION, namespace, a_session(name))
    async with Watching(agent[1], namespace, check_interval=0.5) as watching:
        await watching.complete()
        await asyncio.to_thread(
            control_plane.kubectl,
            "delete",
            "namespace",
            namespace,
            "--wait=true",
            timeout=240,
        )
        await asyncio.sleep(2.0)
        assert watching.names() == set(names)
        assert watching.intact()
    await asyncio.to_thread(
        control_plane.kubectl, "create", "namespace", namespace
    )


async def test_e13_peers_that_wait_for_their_finalizers_in_a_namespace_that_goes_stay_as_they_were(
    control_plane: ControlPlane, admin: KubeApi, agent: Agent, namespace: str
) -> None:
    """Each comes as MODIFIED with a deletionTimestamp; one that a person deleted before is on its way."""
    names = [f"p{number}" for number in range(12)]
    for name in ("before", *names):
        await admin.create(PEER, namespace, a_peer(name))
    async with Watching(
        agent[1], namespace, other=PEER, check_interval=0.5
    ) as watching:
        await watching.complete()
        await admin.delete(PEER, namespace, "before")
        await until(
            lambda: watching.going(PEER) == {"before"},
            "a deletion that is believed",
        )
        await asyncio.to_thread(
            control_plane.kubectl,
            "delete",
            "namespace",
            namespace,
            "--wait=false",
        )
        await asyncio.to_thread(until_all_go, control_plane, PEER, namespace)
        await asyncio.sleep(2.0)
        assert watching.names(PEER) == {"before", *names}
        assert watching.going(PEER) == {"before"}

        await asyncio.to_thread(let_go, control_plane, PEER, namespace)
        await asyncio.to_thread(
            until_gone, control_plane, f"namespace/{namespace}"
        )
        await asyncio.sleep(2.0)
        assert watching.names(PEER) >= set(names)
        assert watching.going(PEER) <= {"before"}
        assert watching.intact()
    await asyncio.to_thread(
        control_plane.kubectl, "create", "namespace", namespace
    )


async def test_e10_e13_crds_that_come_late_and_crds_that_go(
    own_plane: ControlPlane,
) -> None:
    """One life: no CRDs at the start, then they come, go with all objects, and come back empty."""
    async with (
        KubeApi(connection.load(own_plane.kubeconfig), timeout=30.0) as admin,
        proxied(own_plane, lambda url: admin_kubeconfig(own_plane, url)) as (
            _,
            api,
        ),
        Watching(api, "default", check_interval=0.5) as watching,
    ):
        await until(lambda: bool(watching.reasons), "a reason for waiting")
        assert watching.reasons == [
            "CRDs not served (apply crds/): none of our group"
        ]
        await asyncio.sleep(1.0)
        assert watching.watcher.alive()
        await asyncio.to_thread(apply.apply_crds, own_plane)
        await watching.complete()
        assert watching.reasons[-1] is None

        names = [f"s{number}" for number in range(12)]
        for name in names:
            await admin.create(SESSION, "default", a_session(name))
            await admin.patch(
                SESSION,
                "default",
                name,
                {"metadata": {"finalizers": ["example.org/mine"]}},
            )
        await watching.has(*names)
        crd = "crd/sessions.relay.cerebro.dev"
        await asyncio.to_thread(
            own_plane.kubectl, "delete", crd, "--wait=false"
        )
        await until(
            lambda: len(watching.store.held(SESSION, "default")) == 12,
            "deletions that are held",
        )
        assert watching.going() == set()
        await asyncio.to_thread(let_go, own_plane, SESSION, "default")
        await asyncio.to_thread(until_gone, own_plane, crd)
        await asyncio.sleep(2.0)
        assert watching.names() == set(names)
        assert watching.going() == set()

        await asyncio.to_thread(apply.apply_crds, own_plane)
        await watching.has()
        await admin.create(SESSION, "default", a_session("again"))
        await watching.has("again")
        assert watching.intact()


def until_all_go(plane: ControlPlane, kind: Kind, namespace: str) -> None:
    """Wait until all objects are deleted but for their finalizers."""
    what = (kind.plural, "--all", "--namespace", namespace)
    plane.kubectl(
        "wait",
        "--for=jsonpath={.metadata.deletionTimestamp}",
        *what,
        "--timeout=90s",
        timeout=120,
    )


def until_gone(plane: ControlPlane, name: str) -> None:
    plane.kubectl("wait", "--for=delete", name, "--timeout=90s", timeout=120)


def let_go(plane: ControlPlane, kind: Kind, namespace: str) -> None:
    """Take the finalizers off, as a person would."""
    where = ("--namespace", namespace)
    names = plane.kubectl("get", kind.plural, *where, "-o", "name").split()
    patch = json.dumps({"metadata": {"finalizers": None}})
    plane.kubectl("patch", *names, *where, "--type=merge", "-p", patch)


def admin_kubeconfig(plane: ControlPlane, server: str) -> Path:
    """The administrator's file, with another server."""
    path = plane.folder / "proxied.kubeconfig"
    path.write_text(plane.kubeconfig.read_text().replace(plane.url, server))
    return path
