"""The same installation by Helm: an order, an upgrade with access that lasts, and what is kept at the end.

The first one is of the previous release, by its own chart, where git's history has it; else of this one.
"""

from __future__ import annotations

import secrets

import pytest

from e2e.installation import ChartInstallation
from e2e.orders import order, pays_off
from e2e.site import Site
from image.previous import TAG
from integration.agent.router import BINDING
from releases.previous import NoHistoryError, Release, unpack_previous

PHONE, PHONE_IP = "AA:BB:CC:01:00:01", "10.5.50.31"
LATER = "AA:BB:CC:01:00:02"
CRDS = 5


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Release | None:
    """The release before this one; None without history, where no image of it was built either."""
    try:
        return unpack_previous(tmp_path_factory.mktemp("previous"))
    except NoHistoryError:
        return None


@pytest.fixture(scope="module")
def installation(previous: Release | None) -> ChartInstallation:
    """Cérebro, installed by Helm; it is there until a test takes it away."""
    installation = ChartInstallation(
        token=secrets.token_urlsafe(24), secret=secrets.token_urlsafe(24)
    )
    older = [] if previous is None else chart_of(previous)
    installation.install(*older)
    return installation


def chart_of(release: Release) -> list[str]:
    """Return Helm's words for the chart of an older release, with its image."""
    values = release.chart / "ci" / "development.yaml"
    chart = ["cerebro", str(release.chart), "--values", str(values)]
    return [*chart, "--set", f"image.tag={TAG}"]


def test_an_order_opens_the_router_of_an_installation_by_helm(
    installation: ChartInstallation, site: Site
) -> None:
    site.router.move_in(PHONE, PHONE_IP)
    with installation.billing() as billing:
        answer = order(billing, "chart-1", PHONE)

    assert answer.status_code == 200, answer.text
    assert site.router.forwards(PHONE)


def test_an_upgrade_keeps_who_is_in(
    installation: ChartInstallation, site: Site, previous: Release | None
) -> None:
    """To this release, and with other settings, so that agent, operator and bridge are replaced in any case."""
    first = {TAG} if previous is not None else {"dev"}
    for workload in ("cerebro-agent", "cerebro-operator", "cerebro-tunnel"):
        assert installation.images(workload) == first

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

    # The tunnel's pod stays, and goes on carrying for the new agent.
    assert installation.images("cerebro-agent") == {"dev"}
    assert installation.images("cerebro-operator") == {"dev"}
    assert installation.images("cerebro-tunnel") == first

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
