"""The endpoints for a kubelet, under Kubernetes' own names: whether the bridge lives and can take requests (E11).

With `?verbose` they name each check. That is open as the probes are, so it says how a check stands and never why.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field
from starlette.requests import Request

from cerebro.bridge.answers import Answer, is_none
from cerebro.bridge.endpoints.base import BridgeState
from cerebro.bridge.http.auth import Access
from cerebro.bridge.http.routes import Route

_QUERY = {"verbose": "Present, with any value: name each check."}


class CheckAnswer(Answer):
    """Whether all checks pass; the status is 503 while one does not."""

    ok: bool
    checks: dict[str, str] | None = Field(
        default=None,
        exclude_if=is_none,
        description="With `verbose`: `ok` or `failed` by check; the log says why.",
    )
    facts: dict[str, bool | str] | None = Field(
        default=None,
        exclude_if=is_none,
        description="With `verbose`: what no probe depends on.",
    )

    @property
    def http_status(self) -> int:
        """200 or 503, for probes."""
        return 200 if self.ok else 503


class ProbeEndpoints:
    """The probes."""

    def __init__(self, state: Callable[[], BridgeState]) -> None:
        self._state = state

    def routes(self) -> list[Route]:
        """Return the endpoints."""
        return [
            Route(
                method="GET",
                path="/healthz",
                access=Access.OPEN,
                handler=self.live,
                summary="Whether the process turns, as a kubelet asks",
                answer=CheckAnswer,
                query=_QUERY,
                refusals={},
            ),
            Route(
                method="GET",
                path="/livez",
                access=Access.OPEN,
                handler=self.live,
                summary="The same under its newer name",
                answer=CheckAnswer,
                query=_QUERY,
                refusals={},
            ),
            Route(
                method="GET",
                path="/readyz",
                access=Access.OPEN,
                handler=self.ready,
                summary="Whether it can take requests, as a kubelet asks",
                answer=CheckAnswer,
                answers_by_status={503: CheckAnswer},
                query=_QUERY,
                refusals={},
            ),
        ]

    async def live(self, request: Request) -> Answer:
        """Answer that the event loop turns. It says nothing of the API server (E11)."""
        return self._answer(request, {"eventLoop": True})

    async def ready(self, request: Request) -> Answer:
        """Answer whether a request can be taken into the inbox (E11)."""
        return self._answer(request, self._state().checks)

    def _answer(self, request: Request, passes: dict[str, bool]) -> Answer:
        is_ok = all(passes.values())
        if "verbose" not in request.query_params:
            return CheckAnswer(ok=is_ok)

        state = self._state()
        checks = {
            name: "ok" if passed else "failed"
            for name, passed in passes.items()
        }

        return CheckAnswer(
            ok=is_ok,
            checks=checks,
            facts={**state.facts, "orderCheck": state.order_check},
        )
