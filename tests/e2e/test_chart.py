"""The same installation by Helm: an order, an upgrade with access that lasts, and what is kept at the end."""

from __future__ import annotations

import secrets

import pytest

from e2e.installation import ChartInstallation
from e2e.orders import order, pays_off
from e2e.site import Site
from integration.agent.router import BINDING

PHONE, PHONE_IP = "AA:BB:CC:01:00:01", "10.5.50.31"
LATER = "AA:BB:CC:01:00:02"
CRDS = 5


@pytest.fixture(scope="module")
def installation() -> ChartInstallation:
    """Cérebro, installed by Helm; it is there until a test takes it away."""
    installation = ChartInstallation(
        token=secrets.token_urlsafe(24), secret=secrets.token_urlsafe(24)
    )
    installation.install()
    return installation


def test_an_order_opens_the_router_of_an_installation_by_helm(
    installation: ChartInstallation, site: Site
) -> None:
    site.router.move_in(PHONE, PHONE_IP)
    with installation.billing() as billing:
        answer = order(billing, "chart-1", PHONE)

    assert answer.status_code == 200, answer.text
    assert site.router.forwards(PHONE)


def test_an_upgrade_keeps_who_is_in(
    installation: ChartInstallation, site: Site
) -> None:
    """With other settings, so that agent, operator and bridge are replaced."""
    before = site.router.row(BINDING, mac_address=PHONE)
    names = [
        pod["metadata"]["name"]
        for workload in ("cerebro-agent", "cerebro-operator")
        for pod in installation.pods(workload)
    ]

    installation.upgrade(
        "agent.settings.CEREBRO_LOG_LEVEL=INFO",
        "operator.settings.CEREBRO_LOG_LEVEL=INFO",
    )
    for name in names:
        installation.is_gone(name)

    installation.is_up()
    site.is_ready()

    assert site.router.forwards(PHONE)
    after = site.router.row(BINDING, mac_address=PHONE)
    assert after[".id"] == before[".id"]
    (session,) = installation.get("sessions")["items"]
    assert session["status"]["phase"] == "Active"

    with installation.billing() as billing:
        pays_off(billing, "chart-2", LATER)

    assert site.router.row(BINDING, mac_address=LATER)


def test_uninstalling_by_helm_keeps_the_kinds_alone(
    installation: ChartInstallation, site: Site
) -> None:
    """They would take every object of theirs with them, so that a person deletes them."""
    installation.clean_up()
    assert site.router.rows(BINDING) == []

    installation.uninstall()

    words = ("get", "crds,namespaces,priorityclasses", "-o", "name")
    left = [
        name
        for name in installation.kubectl(*words).split()
        if "cerebro" in name
    ]
    assert len(left) == CRDS
    assert {name.partition("/")[0].partition(".")[0] for name in left} == {
        "customresourcedefinition"
    }
    installation.kubectl("delete", "-k", "deploy/crds", "--timeout=120s")
