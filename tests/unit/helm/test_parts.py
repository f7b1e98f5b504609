"""The chart's copies, its version, and how Helm is linked."""

import tomllib
from pathlib import Path

import pytest
import yaml

from helm import binaries, copies
from helm.__main__ import main


def test_the_chart_has_the_packages_version() -> None:
    project = tomllib.loads((copies.ROOT / "pyproject.toml").read_text())
    chart = yaml.safe_load((copies.CHART / "Chart.yaml").read_text())

    version = project["project"]["version"]
    assert chart["version"] == version
    assert chart["appVersion"] == version


def test_the_charts_copies_are_what_they_are_copied_from() -> None:
    assert copies.stale() == []


def test_a_stale_copy_is_named_and_mended(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(copies, "_FILES", tmp_path)
    copies.write()
    assert main(["copy", "--check"]) == 0
    (tmp_path / "admission.yaml").write_text("kind: Other\n")
    (tmp_path / "crds" / "gone.yaml").write_text("kind: Gone\n")

    assert main(["copy", "--check"]) == 1
    told = capsys.readouterr().err
    assert "admission.yaml" in told
    assert "gone.yaml" in told

    assert main(["copy"]) == 0
    assert copies.stale() == []


def test_helm_is_told_which_kubernetes_it_speaks_with() -> None:
    """Else it takes a cluster to be v1.20, and refuses our chart."""
    go_mod = (
        "require (\n\thelm.sh/helm/v3 v3.22.0\n\tk8s.io/client-go v0.35.1\n)\n"
    )

    flags = binaries.link_flags(go_mod)

    assert "internal/version.version=v3.22.0" in flags
    assert "pkg/chartutil.k8sVersionMinor=35" in flags
