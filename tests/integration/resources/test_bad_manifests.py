"""Each manifest in `bad/` is refused by the API server, with the message that its first line promises.

`...` in a promise stands for whatever the API server puts there, such as the refused value. Where a file
holds two documents, the first is good and is applied; the second changes it and is refused.
"""

import re
from pathlib import Path

import pytest

from controlplane.server import ControlPlane

BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))


def test_there_are_bad_manifests_of_each_kind() -> None:
    assert {path.stem.split("-")[0] for path in BAD} == {
        "hub",
        "peer",
        "device",
        "session",
        "command",
    }


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_manifest_is_refused_with_its_message(
    path: Path, control_plane: ControlPlane, shared_namespace: str
) -> None:
    promise, text = path.read_text("utf-8").split("\n", 1)
    expected = promise.removeprefix("# expect: ")
    assert expected != promise
    assert expected
    *good, bad = text.split("---\n")
    for manifest in good:
        control_plane.kubectl(
            "apply", "-n", shared_namespace, "-f", "-", stdin=manifest
        )
    with pytest.raises(RuntimeError) as refused:
        control_plane.kubectl(
            "apply", "-n", shared_namespace, "-f", "-", stdin=bad
        )
    wanted = ".*".join(
        re.escape(part.strip()) for part in expected.split("...")
    )
    assert re.search(wanted, str(refused.value), re.DOTALL)
