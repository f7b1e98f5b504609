"""What the chart has of the rest of the repository: Helm reads no file outside
of a chart, and symbolic links do not reach everybody.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "chart"
_FILES = CHART / "files"
_HEADER = "# Copied from deploy/{} by `make crds`: change that.\n"


def wanted() -> dict[Path, str]:
    """Return the text of each copy, by its path."""
    crds = {
        _FILES / "crds" / source.name: source.read_text()
        for source in sorted((ROOT / "crds").glob("*.yaml"))
    }
    texts = {
        _FILES / name: _HEADER.format(folder) + _read(folder, name)
        for folder, name in (
            ("base", "admission.yaml"),
            ("base", "namespace.yaml"),
            ("monitoring", "rules.yaml"),
        )
    }
    # JSON has no place for a comment.
    dashboard = {
        _FILES / "dashboard.json": _read("monitoring", "dashboard.json")
    }

    return crds | texts | dashboard


def _read(folder: str, name: str) -> str:
    return (ROOT / "deploy" / folder / name).read_text()


def stale() -> list[Path]:
    """Return the files that differ from what they are copied from, are not
    there, or should not be.
    """
    texts = wanted()
    present = {path for path in _FILES.rglob("*") if path.is_file()}
    differing = {
        path
        for path, text in texts.items()
        if path not in present or path.read_text() != text
    }
    return sorted(differing | (present - texts.keys()))


def write() -> None:
    """Make the copies equal to what they are copied from."""
    texts = wanted()
    for path in stale():
        if path in texts:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts[path])
        else:
            path.unlink()
