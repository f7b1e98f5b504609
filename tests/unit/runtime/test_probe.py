"""E11: a probe by a command asks the process of its own pod."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cerebro.runtime import probe
from cerebro.runtime.health import Health, serve_socket


async def test_e11_the_exit_code_says_what_the_page_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "probe.sock"
    monkeypatch.setenv(probe.VARIABLE, str(path))
    trouble: list[str] = []
    health = Health()
    health.ready("store", lambda: trouble[0] if trouble else None)

    async def asked(page: str) -> tuple[int, str]:
        code = await asyncio.to_thread(probe.main, [page])
        return code, capsys.readouterr().out.strip()

    async with serve_socket(health, path):
        assert await asked("readyz") == (0, "ok")
        trouble.append("not complete")
        assert await asked("readyz") == (1, "store")
        assert await asked("healthz") == (0, "ok")
        assert await asked("metrics") == (1, "404: Not Found")

    code, text = await asked("healthz")
    assert code == 1
    assert text.startswith(str(path))


def test_the_variable_and_the_page_are_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(probe.VARIABLE, raising=False)
    assert probe.main(["readyz"]) == 2
    monkeypatch.setenv(probe.VARIABLE, "/run/probe/agent.sock")
    assert probe.main([]) == 2
