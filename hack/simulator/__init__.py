"""Simulated MikroTik routers: the RouterOS binary API and the behaviour of a
hotspot, in one process.

It stands in for routers in tests and demos, and is written from the protocol's
description alone: it shares no code with its client.

As a program (`hack/` on PYTHONPATH):

    python -m simulator --control 127.0.0.1:18700 --router
    name=r1,port=18728,user=cerebro,password=secret python -m simulator
    --routers 50 --base-port 19000 --port-file ports.json

It prints `ready control=URL routers=N` once everything listens, and ends on
SIGINT or SIGTERM.

In a test:

    async with Simulator(control=("127.0.0.1", 0)) as simulator:
        router = await simulator.add_router("r1")              # router.port, router.tables, router.network
        async with SimulatorControl(simulator.control_url) as control:
            await control.move_in("r1", "AA:BB:CC:00:00:01", "10.5.50.9")
            assert not await control.forwarded("r1", "AA:BB:CC:00:00:01")
            binding = {"mac_address": "AA:BB:CC:00:00:01", "type": "bypassed"}
            await control.add_row("r1", "/ip/hotspot/ip-binding", **binding)
            await control.remove_row("r1", "/ip/hotspot/host", "*1")
            await control.wait("r1", "AA:BB:CC:00:00:01", forwarded=True)

Where to find what: `codec` words and sentences; `session` a connection, login,
cancel; `dispatch` the way to a handler; `commands`, `printing`, `actions` the
verbs; `menu`, `menus`, `menus_system`, `menus_scripts`, `menus_ipv6`,
`menus_routing`, `menus_addresses`, `computed` the menus as data; `tunnel_way`
whether a hub gets through to the API; `script` the scripting language
and the scheduler; `syslog` what the router and its scripts say; `values` kinds
and normal forms; `query` query words; `row`, `table` rows; `safe_mode` what is
undone; `hotspot`, `network` what happens to clients and their packets,
`network_ipv6` past the hotspot; `faults` latency and all that goes wrong; `clock` time; `tls` the encrypted
service; `options` the switches; `router`, `simulator` what holds them
together; `control_server`, `control` the control port and its client; `cli`
the command line. "Reference" means the project's notes on the RouterOS API, by
their numbers.

No circle of imports: what a menu, the hotspot, the network, a command or a
session needs of its router, each says in a Protocol of its own (`MenuRouter`,
`HotspotRouter`, ...), and `Router` has it all.

Two faults are easily mixed up: `hang` takes bytes and never answers,
`blackhole` is a dead link, on which the router does not even learn that a
client has gone. What was held is handed on when the fault ends.
"""

from simulator.control import ControlError, SimulatorControl
from simulator.options import RouterOptions
from simulator.router import Router
from simulator.simulator import Simulator

__all__ = [
    "ControlError",
    "Router",
    "RouterOptions",
    "Simulator",
    "SimulatorControl",
]
