"""The core cases of WireGuard against the kernel's own, in a virtual machine.

Real: the kernel, its modules, everything in it; slow, as there is no hardware help for it. The tests named here are
those of `tests/integration` that take their implementation from `CEREBRO_TEST_WIREGUARD`: those of the backend run
inside, those of the agent outside, with the nodes that they make, and the agents on those, inside. Each becomes an
outcome of its own here. In the long form it is all of them, also that nothing resets a tunnel.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from controlplane.processes import Process, end, launch
from vm.machine import MachineError, run, supported

LONG = bool(os.environ.get("CEREBRO_TEST_LONG"))
WIREGUARD, HUB = "tests/integration/wireguard", "tests/integration/hub"
INSIDE = [
    f"{WIREGUARD}/test_backend.py",
    *([f"{WIREGUARD}/test_isolation.py"] if LONG else []),
]
REPAIRS = f"{HUB}/test_hub_repairs.py"
BACK = f"{HUB}/test_hub_back.py"
CORE = [
    f"{REPAIRS}::test_a_peer_removed_by_hand_is_put_back",
    f"{REPAIRS}::test_e8_an_unknown_peer_is_kept_and_reported_then_removed_under_remove",
    f"{REPAIRS}::test_e8_a_rotated_key_is_removed_also_under_keep",
    f"{REPAIRS}::test_a_peer_deleted_goes_from_the_interface_before_the_object",
    f"{REPAIRS}::test_a_restart_of_the_agent_leaves_everything_as_it_is",
    f"{BACK}::test_e16_routers_are_dialled_where_they_were_when_their_tunnel_is_made_anew",
]
ALL = [
    REPAIRS,
    BACK,
    *(
        f"{HUB}/test_{name}.py"
        for name in ("hub_keys", "hub_tunnel", "no_reset")
    ),
]
DEADLINE = 5400.0 if LONG else 1200.0
"""Seconds; alone on a machine the short form takes a quarter of that."""
ROOT = Path(__file__).resolve().parents[3]
BAD = ("failure", "error", "skipped")
ENVIRONMENT = {"CEREBRO_TEST_WIREGUARD": "Kernel", "CI": "true"}


@pytest.fixture(scope="module", autouse=True)
def possible() -> None:
    """Where no such machine can be had, only CI fails."""
    reason = supported()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


def run_inside(folder: Path, report: Path) -> None:
    """Run the backend's cases in the machine."""
    # Each module that is read takes its time there: no plugins, no conftest but that of the tests, and so no
    # options for them.
    words = [
        "-m",
        "pytest",
        "-v",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=",
        f"--junit-xml={report}",
    ]
    words += [
        "-W",
        "ignore::pytest.PytestConfigWarning",
        f"--confcutdir={ROOT / WIREGUARD}",
        *INSIDE,
    ]
    env = {**ENVIRONMENT, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    try:
        run(
            [sys.executable, *words],
            folder,
            deadline=DEADLINE,
            env=env,
            cwd=ROOT,
        )
    except MachineError as error:
        pytest.fail(str(error))
    print((folder / "output.log").read_text(errors="replace"))


def run_outside(folder: Path, report: Path) -> None:
    """Run the agent's cases here, with their nodes in a machine."""
    words = [
        "-m",
        "pytest",
        "-v",
        "-s",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        f"--timeout={DEADLINE}",
    ]
    words += [
        f"--basetemp={folder / 'tests'}",
        f"--junit-xml={report}",
        *(ALL if LONG else CORE),
    ]
    child = launch(
        Process("agents", (sys.executable, *words), ENVIRONMENT, ROOT),
        folder / "output.log",
    )
    try:
        child.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        pytest.fail(f"not done within {DEADLINE:.0f} s")
    finally:
        end(child)
        print((folder / "output.log").read_text(errors="replace"))


@pytest.mark.timeout(DEADLINE + 60)
@pytest.mark.parametrize(
    "run_cases", [run_inside, run_outside], ids=["backend", "agent"]
)
def test_the_core_cases_hold_with_the_kernels_wireguard(
    run_cases: Callable[[Path, Path], None],
    tmp_path: Path,
    subtests: pytest.Subtests,
) -> None:
    report = tmp_path / "junit.xml"
    run_cases(tmp_path, report)
    cases = (
        list(ElementTree.parse(report).iter("testcase"))
        if report.exists()
        else []
    )
    assert cases, "no test ran"
    for case in cases:
        with subtests.test(
            f"{case.attrib['classname']}::{case.attrib['name']}"
        ):
            # A skipped one has shown nothing.
            said = [
                f"{bad.tag}: {bad.attrib.get('message', '')}\n{bad.text}"
                for bad in case
                if bad.tag in BAD
            ]
            assert not said, "\n".join(said)
