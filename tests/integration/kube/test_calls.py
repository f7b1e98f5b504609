"""Each call of `KubeApi` against the real server, with the rights that our processes have; Leases and Events."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from cerebro.kube.client import api as api_module
from cerebro.kube.client import connection
from cerebro.kube.client.api import KubeApi
from cerebro.kube.client.errors import (
    AlreadyExists,
    Conflict,
    Invalid,
    NotFound,
    Unavailable,
)
from cerebro.kube.event_reasons import EXPIRED
from cerebro.kube.events import Recorder
from cerebro.kube.lease import Lease
from cerebro.resources import DEVICE, SESSION, UNFINISHED, Session
from controlplane.proxy import FaultProxy
from controlplane.server import ControlPlane
from integration.kube.conftest import a_session, until

Agent = tuple[FaultProxy, KubeApi]


async def test_create_get_patch_delete_and_their_errors(
    admin: KubeApi, namespace: str
) -> None:
    made = await admin.create(SESSION, namespace, a_session("a"))
    assert (await admin.get(SESSION, namespace, "a"))["metadata"][
        "uid"
    ] == made["metadata"]["uid"]
    with pytest.raises(AlreadyExists):
        await admin.create(SESSION, namespace, a_session("a"))
    with pytest.raises(Invalid, match=r"spec\.client"):
        await admin.create(
            SESSION,
            namespace,
            a_session("b", client={"macAddress": "nonsense"}),
        )
    version = made["metadata"]["resourceVersion"]
    await admin.patch(
        SESSION,
        namespace,
        "a",
        {"spec": {"revoked": True}},
        resource_version=version,
    )
    with pytest.raises(Conflict):
        await admin.patch(
            SESSION,
            namespace,
            "a",
            {"spec": {"revoked": False}},
            resource_version=version,
        )
    with pytest.raises(Conflict):
        await admin.delete(SESSION, namespace, "a", uid="another")
    with pytest.raises(Conflict):
        await admin.delete(SESSION, namespace, "a", resource_version=version)
    await admin.delete(SESSION, namespace, "a", uid=made["metadata"]["uid"])
    with pytest.raises(NotFound):
        await admin.get(SESSION, namespace, "a")
    with pytest.raises(NotFound):
        await admin.delete(SESSION, namespace, "a")


async def test_apply_gives_fields_back_when_they_are_left_out(
    admin: KubeApi, agent: Agent, namespace: str
) -> None:
    await admin.create(SESSION, namespace, a_session("a"))

    async def apply(
        api: KubeApi, manager: str, **status: Any
    ) -> dict[str, Any]:
        answer = await api.apply(
            SESSION,
            namespace,
            "a",
            {"status": status},
            field_manager=manager,
            subresource="status",
        )
        answered = dict(answer["status"])
        del answered["observedGeneration"]  # the schema's default

        return answered

    assert await apply(agent[1], "agent", phase="Active", finished=False) == {
        "phase": "Active",
        "finished": False,
    }
    assert await apply(admin, "operator", phase="Failed") == {
        "phase": "Failed",
        "finished": False,
    }
    assert await apply(agent[1], "agent", phase="Active") == {
        "phase": "Active"
    }


async def test_any_text_of_the_world_outside_can_be_applied(
    agent: Agent, admin: KubeApi, namespace: str
) -> None:
    """The server reads these bodies as YAML: there an escaped emoji or half a surrogate pair is an error."""
    await admin.create(SESSION, namespace, a_session("a"))
    said = {
        "type": "Ready",
        "status": "True",
        "reason": "Granted",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    said["message"] = "Café 📶 Caf\udce9 \x00\x7f\x85\u2028\ufeff \\ud83d"
    await agent[1].apply(
        SESSION,
        namespace,
        "a",
        {"status": {"conditions": [said]}},
        field_manager="agent",
        subresource="status",
    )
    status = (await admin.get(SESSION, namespace, "a"))["status"]
    assert status["conditions"][0]["message"] == said["message"].replace(
        "\udce9", "\ufffd"
    )


async def test_e7_uids_are_listed_in_pages_by_selector_and_of_one_moment(
    admin: KubeApi,
    agent: Agent,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api_module, "PAGE", 5)
    made = {}
    for number in range(12):
        answer = await admin.create(
            SESSION, namespace, a_session(f"s{number}")
        )
        made[answer["metadata"]["uid"]] = answer["metadata"]["name"]
    listing = await agent[1].list_uids(
        SESSION, namespace, field_selector=UNFINISHED
    )
    assert listing.uids == made
    assert listing.resource_version >= int(
        answer["metadata"]["resourceVersion"]
    )
    await admin.patch(
        SESSION,
        namespace,
        "s0",
        {"status": {"finished": True}},
        subresource="status",
    )
    listing = await agent[1].list_uids(
        SESSION, namespace, field_selector=UNFINISHED
    )
    assert sorted(listing.uids.values()) == sorted(set(made.values()) - {"s0"})
    assert (await agent[1].list_uids(DEVICE, namespace)).uids == {}
    names = [
        item["metadata"]["name"]
        async for item in agent[1].list_objects(SESSION, namespace)
    ]
    assert sorted(names) == sorted(made.values())


async def test_d1_secrets_are_read_by_name_and_never_shown(
    agent: Agent, namespace: str
) -> None:
    api = agent[1]
    data = {"username": b"relay", "password": "hüsh".encode()}
    notes = {"relay.cerebro.dev/device": "router-1"}
    await api.create_secret(
        namespace,
        "router-1",
        type="relay.cerebro.dev/wireguard",
        data=data,
        annotations=notes,
    )
    secret = await api.get_secret(namespace, "router-1")
    assert (secret.type, secret.annotations, secret.text("password")) == (
        "relay.cerebro.dev/wireguard",
        notes,
        "hüsh",
    )
    assert "sh" not in repr(secret).replace("namespace", "")
    with pytest.raises(AlreadyExists) as error:
        await api.create_secret(
            namespace,
            "router-1",
            type="relay.cerebro.dev/wireguard",
            data=data,
        )
    assert "relay" not in str(error.value).replace("router-1", "").replace(
        namespace, ""
    )
    with pytest.raises(NotFound):
        await api.get_secret(namespace, "absent")
    with pytest.raises(Unavailable) as forbidden:
        await api.delete_secret(namespace, "router-1")
    assert forbidden.value.status == 403
    assert api.forbidden_since() is not None


async def test_a9_the_clock_of_the_api_server_is_observed(
    agent: Agent, namespace: str
) -> None:
    api = agent[1]
    assert api.clock_skew is None
    assert api.last_contact is None
    await api.served()
    assert api.clock_skew is not None
    assert abs(api.clock_skew) < 60
    assert api.last_contact is not None


async def test_e10_a_rotated_token_is_taken_up_with_the_next_call(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    source = await asyncio.to_thread(
        control_plane.account_kubeconfig, "cerebro-agent", namespace
    )
    config = yaml.safe_load(source.read_text())
    token = config["users"][0]["user"].pop("token")
    config["users"][0]["user"]["tokenFile"] = str(tmp_path / "token")
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    (tmp_path / "token").write_text("expired")
    async with KubeApi(connection.load(tmp_path / "config")) as api:
        with pytest.raises(Unavailable) as refused:
            await api.list_uids(SESSION, namespace)
        assert refused.value.status == 401
        assert token not in str(refused.value)
        (tmp_path / "token").write_text(token)
        await api.list_uids(SESSION, namespace)


async def test_no_connection_and_no_answer_are_unavailable(
    agent: Agent, namespace: str
) -> None:
    proxy, api = agent
    api._transport.timeout = 0.5
    proxy.delay(30.0)
    with pytest.raises(
        Unavailable, match=r"no answer within 0\.5 s"
    ) as silent:
        await api.get(SESSION, namespace, "a")
    assert silent.value.sent
    proxy.clear()
    await proxy.refuse()
    with pytest.raises(Unavailable) as refused:
        await api.get(SESSION, namespace, "a")
    assert not refused.value.sent


async def test_e1_e14_one_holder_at_a_time_and_the_next_soon(
    agent: Agent, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    proxy, api = agent
    said: list[str] = []
    both: list[str] = []

    def lease(identity: str, duration: float = 6.0) -> Lease:
        def gained() -> None:
            said.append(f"{identity} gained")
            if first.held() and second.held():
                both.append(f"{identity} gained it while the other held it")

        def lost() -> None:
            said.append(f"{identity} lost")

        return Lease(
            *(api, namespace, "cerebro-direct", identity),
            duration=duration,
            renew=2.0,
            gained=gained,
            lost=lost,
        )

    async def run_until_held(one: Lease) -> None:
        """Run it until it holds the Lease, and end it then."""
        task = asyncio.create_task(one.run())
        await asyncio.wait_for(one.wait_held(), 60)
        task.cancel()
        await asyncio.wait([task], timeout=60)

    first, second = lease("first"), lease("second")
    one = asyncio.create_task(first.run())
    await asyncio.wait_for(first.wait_held(), 60)
    other = asyncio.create_task(second.run())
    cut = proxy.answer(503)
    await until(
        lambda: (
            "first lost" in said and not first.held() and not second.held()
        ),
        "the holder to notice that it cannot renew",
    )
    cut.end()
    await until(lambda: first.held() or second.held(), "a holder")
    held_by_second = (second, other, first, "first")
    holder, task, rival, name = (
        held_by_second if second.held() else (first, one, second, "second")
    )
    task.cancel()
    await until(rival.held, "the other one to take over")
    assert not holder.held()
    one.cancel()
    other.cancel()
    await asyncio.wait([one, other], timeout=60)
    assert not both
    for _ in range(5):
        caplog.clear()
        await run_until_held(
            lease(name, duration=60.0)
        )  # longer than it is held up
        answer = await api.get_lease(namespace, "cerebro-direct")
        if answer["spec"].get("holderIdentity", "") == "":
            break
        # A server that does not answer in time is not waited for; then it must say so.
        assert "was not released" in caplog.text
    assert answer["spec"].get("holderIdentity", "") == ""


async def test_an_event_is_posted_once(
    control_plane: ControlPlane, admin: KubeApi, agent: Agent, namespace: str
) -> None:
    name = (
        "x" * 199 + "-" + "y" * 53
    )  # the longest, and where it is cut no name may end
    about = Session.model_validate(
        await admin.create(SESSION, namespace, a_session(name))
    )
    recorder = Recorder(agent[1], component="agent", instance="node-1")
    for _ in range(3):
        recorder.post(
            about, EXPIRED, device="r", message="its time is over: ç" * 100
        )
    arguments = (
        "get",
        "events",
        "--namespace",
        namespace,
        "--output",
        "jsonpath={.items[*].reason}",
    )

    async def posted() -> str:
        return await asyncio.to_thread(control_plane.kubectl, *arguments)

    for _ in range(600):
        if await posted():
            break
        await asyncio.sleep(0.05)
    assert await posted() == "Expired"
