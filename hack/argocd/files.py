"""The files that are made of the table of verdicts and of the scripts: Argo CD
wants a health script in the folder of each kind, and ours are all the same.
"""

from pathlib import Path

import yaml

from argocd.action_data import action_tests
from argocd.config_map import GROUP, config_map
from argocd.health_data import health_tests

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "argocd"
HEALTH = Path(__file__).with_name("health.lua")
SCRIPTS = FOLDER / "resource_customizations" / GROUP


def wanted() -> dict[Path, str]:
    """Return the text of each file that is made, by its path."""
    texts = {
        FOLDER / "argocd-cm.yaml": config_map(SCRIPTS, HEALTH.read_text()),
    }
    for folder in SCRIPTS.iterdir():
        kind = folder.name
        texts[folder / "health.lua"] = HEALTH.read_text()
        for path, content in (health_tests(kind) | action_tests(kind)).items():
            texts[folder / path] = yaml.safe_dump(content, sort_keys=False)

    return texts


def stale() -> list[Path]:
    """Return the files that are not as they are made, are not there, or
    should not be.
    """
    texts = wanted()
    differing = {
        path
        for path, text in texts.items()
        if not path.exists() or path.read_text() != text
    }
    present = set(SCRIPTS.rglob("*.yaml"))

    return sorted(differing | (present - texts.keys()))
