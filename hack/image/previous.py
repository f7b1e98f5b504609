"""The image of the release before this one, for tests of an update: its code in
the image that was just built.

System and libraries are those of the present image: to build the older one
with its own takes minutes and room, and differs only where its lock file does.
"""

import tempfile
from pathlib import Path

from image.engine import Engine
from releases.previous import NoHistoryError, unpack_previous

TAG = "previous"

_DOCKERFILE = """\
ARG BASE
FROM ${BASE}
COPY operator /opt/previous
USER 0
RUN ["/opt/cerebro/bin/python", "-m", "compileall", "-q", "/opt/previous"]
USER 65532:65532
ENV PYTHONPATH=/opt/previous
"""


def build_previous(engine: Engine, name: str, present: str) -> str | None:
    """Build `name:previous` on the image `present`; return that reference.

    Returns None, and says why, where this checkout has no history. Raises
    ImageError.
    """
    reference = f"{name}:{TAG}"
    with tempfile.TemporaryDirectory(prefix="cerebro-previous-") as scratch:
        folder = Path(scratch)
        try:
            release = unpack_previous(folder)
        except NoHistoryError as error:
            print(f"no image of the previous release: {error}")
            return None

        dockerfile = folder / "Dockerfile"
        dockerfile.write_text(_DOCKERFILE)
        engine.build(folder, str(dockerfile), reference, base=present)
        print(f"{reference}: {release.name} on {present}")

    return reference
