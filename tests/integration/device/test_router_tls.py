"""How a Device says what is wrong with TLS, and that `Insecure` is.

Real: the loops of the Devices, the client, sockets, TLS of simulated routers. Faked: the API server, see
`live_devices`.
"""

from __future__ import annotations

from support.live_devices import live_devices

VERIFY = {"tls": {"mode": "Verify"}}
INSECURE = {"tls": {"mode": "Insecure"}}
AT_ONCE = {"circuitBreaker": {"recoveryTime": "1s"}}


async def test_an_anonymous_router_is_served_with_insecure_alone() -> None:
    """With Verify it is refused and never logged in to."""
    async with live_devices() as live:
        router = await live.simulator.add_router("r", tls="anonymous")
        live.has_device(router, api=VERIFY, **AT_ONCE)
        told = await live.until_ready("Device", "r", "NoCertificate")
        assert told["status"] == "False"
        assert "/ip/service/set api-ssl certificate=" in told["message"]
        assert router.counters["logins"] == 0

        live.has_device(router, api=INSECURE, **AT_ONCE)
        told = await live.until_ready("Device", "r", "InsecureTLS")
        assert told["status"] == "True"
        assert "mode: Verify" in told["message"]
        assert router.counters["logins"] == 1
