"""The part of Argo CD's ConfigMap `argocd-cm` that is about our kinds: the
scripts of `deploy/argocd/resource_customizations`.
"""

from pathlib import Path

import yaml

GROUP = "relay.cerebro.dev"
_HEADER = """\
# The scripts of resource_customizations/, as Argo CD reads them. Made by `make argocd`: change the scripts.
apiVersion: v1
kind: ConfigMap
metadata:
  name: argocd-cm
  labels:
    app.kubernetes.io/part-of: argocd
data:
"""


def config_map(folder: Path, health: str) -> str:
    """Return the manifest made of the script of health and of the actions in
    `folder`, one sub-folder a kind.
    """
    data = {}
    for kind in sorted(path.name for path in folder.iterdir()):
        data[f"resource.customizations.health.{GROUP}_{kind}"] = health
        if (folder / kind / "actions").is_dir():
            actions = _actions(folder / kind / "actions")
            data[f"resource.customizations.actions.{GROUP}_{kind}"] = actions

    entries = (f"{key}: |\n{_indented(text)}" for key, text in data.items())
    return _HEADER + _indented("".join(entries))


def _actions(folder: Path) -> str:
    """Return the actions of a kind as Argo CD's ConfigMap has them, in YAML."""
    discovery = (folder / "discovery.lua").read_text()
    text = "discovery.lua: |\n" + _indented(discovery) + "definitions:\n"
    for path in sorted(folder.glob("*/action.lua")):
        text += f"- name: {path.parent.name}\n  action.lua: |\n"
        text += _indented(path.read_text(), by=4)

    assert yaml.safe_load(text)["discovery.lua"] == discovery

    return text


def _indented(text: str, by: int = 2) -> str:
    lines = (
        " " * by + line if line.strip() else line
        for line in text.splitlines(keepends=True)
    )
    return "".join(lines)
