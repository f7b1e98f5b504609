"""The core cases of WireGuard against the kernel's own, in a virtual machine that is booted once.

Real: the kernel, its modules, everything in it; slow, as there is no hardware help for it. The tests named here
are those of `tests/integration/wireguard` that take their implementation from `CEREBRO_TEST_WIREGUARD`. Each
becomes an outcome of its own here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from vm.machine import MachineError, run, supported

CORE = ["tests/integration/wireguard/test_backend.py"]
if os.environ.get("CEREBRO_TEST_LONG"):
    CORE.append("tests/integration/wireguard/test_isolation.py")
DEADLINE = 900.0
"""Seconds; alone on a machine it takes a tenth of that."""
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What became of each test inside, by name: empty, or what it said."""
    reason = supported()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("vm")
    report = folder / "junit.xml"
    # Each module that is read takes its time there: no plugins, no conftest but that of the tests, and so no
    # options for them.
    words = ["-m", "pytest", "-v", "-p", "no:cacheprovider", "-o", "addopts=", f"--junit-xml={report}"]
    words += ["-W", "ignore::pytest.PytestConfigWarning", f"--confcutdir={(ROOT / CORE[0]).parent}", *CORE]
    env = {"CEREBRO_TEST_WIREGUARD": "Kernel", "CI": "true", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    try:
        run([sys.executable, *words], folder, deadline=DEADLINE, env=env, cwd=ROOT)
    except MachineError as error:
        pytest.fail(str(error))
    printed = (folder / "output.log").read_text(errors="replace")
    print(printed)
    assert report.exists(), printed
    return {
        f"{Path(case.attrib['classname'].replace('.', '/')).name}::{case.attrib['name']}": _outcome(case)
        for case in ElementTree.parse(report).iter("testcase")
    }


def _outcome(case: ElementTree.Element) -> str:
    """Return nothing for a test that passed; a skipped one has shown nothing."""
    return "\n".join(f"{bad.tag}: {bad.attrib.get('message', '')}\n{bad.text}" for bad in case)


@pytest.mark.timeout(DEADLINE + 60)
@pytest.mark.parametrize("file", [Path(file).stem for file in CORE])
def test_the_core_cases_hold_with_the_kernels_wireguard(
    outcomes: dict[str, str], file: str, subtests: pytest.Subtests
) -> None:
    ours = {name: said for name, said in outcomes.items() if name.startswith(f"{file}::")}
    assert ours, "no test ran inside"
    for name, said in ours.items():
        with subtests.test(name):
            assert not said, said
