"""Our kernel backend against C `wg`, in the same run on the kernel's WireGuard, in the virtual machine.

What both do to 2,000 and to 10,000 peers: applied to an empty interface (`wg setconf`), a pass without difference
(`wg syncconf`), one more peer (`wg set`), reading state (`wg show dump`). Without hardware help everything takes
long there, so only the ratios mean something; they are printed beside what is aimed at.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import wireguard_inside
from bench.figures import Figures
from vm.machine import run, supported

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = (
    {2_000: 5, 10_000: 5}
    if os.environ.get("CEREBRO_TEST_LONG")
    else {2_000: 3, 10_000: 3}
)
DEADLINE = 1800.0
AIMS = {
    "apply": ("applied to an empty interface (wg setconf)", 1.0),
    "no difference": ("a pass without difference (wg syncconf)", 0.5),
    "add one": ("one peer added (wg set)", 0.1),
    "read": ("state read (wg show dump)", None),
}


@pytest.mark.timeout(DEADLINE + 60)
def test_our_backend_beside_wg(tmp_path: Path) -> None:
    reason = supported()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    module = wireguard_inside.__name__
    files = {peers: tmp_path / f"{peers}.json" for peers in ROUNDS}
    orders = [
        f"'{sys.executable}' -m {module} '{files[peers]}' {peers} {ROUNDS[peers]}"
        for peers in ROUNDS
    ]
    env = {
        "PYTHONPATH": os.pathsep.join(
            [str(ROOT / "tests"), str(ROOT / "hack")]
        )
    }
    print()
    status = run(
        ["sh", "-ec", "\n".join(orders)],
        tmp_path,
        deadline=DEADLINE,
        env=env,
        cwd=ROOT,
        follow=True,
    )
    assert status == 0, (tmp_path / "output.log").read_text()[-4000:]
    for peers, file in files.items():
        times: dict[str, list[float]] = json.loads(file.read_text())
        print(f"{peers} peers in the virtual machine, {ROUNDS[peers]} rounds:")
        for what, (name, aim) in AIMS.items():
            print(_line(name, times[f"we: {what}"], times[f"wg: {what}"], aim))


def _line(
    name: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    aim: float | None,
) -> str:
    we, wg = Figures.of(ours).p50, Figures.of(theirs).p50
    aimed = (
        ""
        if aim is None
        else f"   aim {aim:.1f}, {'met' if we <= aim * wg else 'MISSED'}"
    )
    return f"  {name:44} we {we * 1000:9.1f} ms   wg {wg * 1000:9.1f} ms   ratio {we / wg:5.2f}{aimed}"
