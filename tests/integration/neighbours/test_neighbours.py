"""Parts of neighbouring releases beside each other, one release apart, with access that lasts.

An update goes CRDs, operator and bridge, agents; a way back goes as it likes. After each step access is as it was, an
order opens, a revoke closes, and nobody writes without an end what the others' schema does not keep.
"""

from __future__ import annotations

import pytest

from integration.agent.relay import Relay
from integration.neighbours.installation import Installation, Parts
from releases.previous import THIS, Release

QUIET = 11.0
"""Seconds; an agent that takes a status for lost writes it again after 5, one that was refused after 10."""

STEPS = {
    "crds": "NPPP",
    "operator-and-bridge": "NNNP",
    "agent": "NNNN",
    "crds-back": "PNNN",
    "operator-and-bridge-back": "PPPN",
    "agent-back": "PPPP",
}
"""Of which release CRDs, operator, bridge and agent are, in this order: N is this one, P the previous one."""

ANEW = "crds-back"
"""The step after which all but the bridge is started anew: of older CRDs a process that starts knows no more."""

WHOLE = "agent"
"""The step after which everything is of this release."""

LOOKED_AT = {"operator-and-bridge", "crds-back"}
"""Steps after which writes are looked at: there parts of both releases write the same objects, or with fields that the
CRDs do not have.
"""

pytestmark = pytest.mark.timeout(1800)


def parts(letters: str, previous: Release) -> Parts:
    return Parts(*(THIS if letter == "N" else previous for letter in letters))


def run_of(relay: Relay, command: str) -> list[object]:
    """Return when a DeviceCommand was run, and what came of it."""
    status = relay.status(command, "DeviceCommand")
    return [status[field] for field in ("startedAt", "finishedAt", "results")]


@pytest.fixture(scope="module")
def lasting(installation: Installation) -> str:
    """The MAC of a phone that is let in by the previous release, and stays."""
    return installation.order("lasting")


@pytest.fixture(scope="module")
def command(installation: Installation) -> str:
    """A DeviceCommand that the previous release has run."""
    status = installation.run_command("before")
    assert "startedAt" in status
    return "before"


@pytest.mark.parametrize("step", STEPS)
def test_access_lasts_and_goes_on_at_each_step(
    installation: Installation,
    previous: Release,
    lasting: str,
    command: str,
    step: str,
) -> None:
    relay, router = installation.relay, installation.router
    rows, writes = router.access(), router.writes()
    ran = run_of(relay, command)

    installation.becomes(parts(STEPS[step], previous), anew=step == ANEW)
    installation.settle()

    assert router.forwards(lasting)
    assert (router.access(), router.writes()) == (rows, writes)
    assert run_of(relay, command) == ran

    if step == WHOLE:
        relay.until(
            lambda: not installation.not_judged(),
            "this release's processes completed what the previous one's wrote",
            installation.not_judged,
        )

    if step in LOOKED_AT:
        installation.until_quiet(QUIET)

    # What is changed now is judged, whatever the CRDs keep of that.
    minutes = 5 + list(STEPS).index(step)
    relay.patch("device", router.name, offlineAfter=f"{minutes + 1}m")
    relay.until_observed(router)

    mac = installation.order(step)
    installation.post("/relay/revoke", mac=mac)
    assert not router.forwards(mac)
    relay.until_condition("Device", router.name, "Ready", "True")
