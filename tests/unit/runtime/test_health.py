"""E11: liveness by heartbeats, and the pages that say it, on loopback; E10: when a 403 counts."""

import json
from typing import Any, cast

import aiohttp
import pytest

from cerebro.kube.client.discovery import permitted
from cerebro.runtime.health import Health, Heartbeat, serve


def test_e11_a_loop_that_does_not_turn_is_trouble() -> None:
    now = [0.0]
    beat = Heartbeat(10, clock=lambda: now[0])
    now[0] = 10
    assert beat.trouble() is None
    now[0] = 11
    assert beat.trouble() == "has not turned for 11 s"
    beat()
    assert beat.trouble() is None


async def test_e11_pages() -> None:
    health = Health()
    troubles: dict[str, str | None] = {"watchers": None, "api": None}
    health.alive("watchers", lambda: troubles["watchers"])
    health.ready("api", lambda: troubles["api"])
    health.fact("lease", lambda: "held")
    async with (
        serve(health, "127.0.0.1", 0, token="hush") as port,
        aiohttp.ClientSession() as session,
    ):

        async def get(path: str, token: str | None = None) -> tuple[int, str]:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            async with session.get(
                f"http://127.0.0.1:{port}{path}", headers=headers
            ) as answer:
                return answer.status, await answer.text()

        assert await get("/healthz") == (200, "ok")
        troubles["api"] = "forbidden"
        assert await get("/healthz") == (200, "ok")
        assert await get("/readyz") == (503, "api")
        troubles["watchers"] = "silent"
        assert await get("/healthz") == (503, "watchers")
        assert await get("/livez") == (503, "watchers")
        assert (await get("/healthz?verbose"))[0] == 401
        assert (await get("/healthz?verbose", "wrong"))[0] == 401
        status, text = await get("/healthz?verbose", "hush")
        assert (
            status,
            '"lease": "held"' in text,
            '"watchers": "silent"' in text,
        ) == (503, True, True)
        _, text = await get("/readyz?verbose", "hush")
        answer = json.loads(text)
        assert answer["checks"] == {"watchers": "failed", "api": "failed"}
        troubles.update(watchers=None, api=None)
        for path, checks in (
            ("/livez", {"watchers": "ok"}),
            ("/readyz", {"watchers": "ok", "api": "ok"}),
        ):
            _, text = await get(f"{path}?verbose", "hush")
            answer = json.loads(text)
            assert (answer["ok"], answer["checks"]) == (True, checks)
        assert (await get("/metrics"))[0] == 401
        status, text = await get("/metrics", "hush")
        assert status == 200
        assert "cerebro_event_loop_lag_seconds" in text


def test_e10_a_403_makes_us_unready_when_it_lasts_60_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Api:
        since: float | None = None

        def forbidden_since(self) -> float | None:
            return self.since

    api = Api()
    monkeypatch.setattr("cerebro.runtime.clock.time.monotonic", lambda: 1000.0)
    check = permitted(cast("Any", api))
    assert check() is None
    api.since = 941.0
    assert check() is None
    api.since = 940.0
    assert "roles" in (check() or "")
