"""Orders, as a backend places them."""

from __future__ import annotations

from typing import Any

import httpx

from backend.billing import Billing
from e2e.installation import until
from e2e.site import DEVICE


def order(billing: Billing, name: str, client: str) -> httpx.Response:
    return billing.post(
        "/relay/authorize-by-pedido",
        {"pedidoId": name, "mikId": DEVICE, "mac": client},
    )


def pays_off(billing: Billing, name: str, client: str) -> httpx.Response:
    """Order until it is answered, as a backend does that wants it done."""
    answers: list[Any] = []

    def taken() -> bool:
        try:
            answers.append(order(billing, name, client))
        except httpx.TransportError as error:
            answers.append(error)
            return False

        assert answers[-1].status_code in {200, 503}, answers[-1].text
        return bool(answers[-1].status_code == 200)

    until(taken, f"the order {name} is taken", lambda: answers[-1])
    answer = answers[-1]
    assert isinstance(answer, httpx.Response)
    return answer
