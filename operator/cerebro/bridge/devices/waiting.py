"""The time that an answer about a router has, and what is said when it is
over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cerebro.bridge.errors import ApiError, invalid
from cerebro.kube.client.errors import Invalid, KubeError

LOOK_AGAIN = 0.2
"""Seconds between two looks at what an answer waits for."""
MARGIN = 0.1
"""Seconds before the deadline at which the answer is made, so that it is out
in time.
"""


class Waiting:
    """What an answer waits for at the moment."""

    def __init__(self) -> None:
        self.error = ApiError(
            503,
            "kubernetes_unavailable",
            "the API server does not answer: try again",
        )

    def waits(self, code: str, text: str) -> None:
        """Note what the caller is told if it does not come in time."""
        self.error = ApiError(503, code, text)


@asynccontextmanager
async def answered_by(deadline: float) -> AsyncIterator[Waiting]:
    """Run a block until `deadline`, in the event loop's time.

    Raises ApiError: 503 with what is waited for when the time is over, 400 for
    an object that the API server refuses, 503 for a call that failed.
    """
    waiting = Waiting()
    try:
        async with asyncio.timeout_at(deadline):
            yield waiting
    except TimeoutError:
        raise waiting.error from None
    except Invalid as error:
        raise invalid(f"the API server refuses this Device: {error}") from None
    except KubeError as error:
        raise ApiError(
            503,
            "kubernetes_unavailable",
            f"the API server did not do it: {error}",
        ) from None
