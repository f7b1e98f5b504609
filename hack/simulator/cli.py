"""The command line: routers from options, the control port, a ready line, an
end on SIGINT and SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from simulator.options import RouterOptions, options_from
from simulator.simulator import Simulator

EPILOG = """\
examples:
  python -m simulator --router name=r1,port=18728,user=cerebro,password=secret
  python -m simulator --routers 50 --base-port 19000 --password secret --port-file ports.json

A --router takes name=value pairs separated by commas. Besides address, port, user, password these switches of
simulator.options.RouterOptions exist: """


def parse_router(text: str) -> dict[str, Any]:
    """Return `name=r1,port=18728,...` as options; raises ArgumentTypeError
    that names the pair.
    """
    values: dict[str, Any] = {}
    for pair in text.split(","):
        name, separator, value = pair.partition("=")
        if not separator:
            raise argparse.ArgumentTypeError(f"{pair!r}: expects name=value")
        field = RouterOptions.__dataclass_fields__.get(name)
        if field is None:
            known = ", ".join(RouterOptions.__dataclass_fields__)
            raise argparse.ArgumentTypeError(
                f"unknown option {name!r}; known: {known}"
            )
        if field.type == "int":
            if not value.isdigit():
                raise argparse.ArgumentTypeError(
                    f"{name}: expects a number, not {value!r}"
                )
            values[name] = int(value)
        elif field.type == "bool":
            values[name] = value in {"yes", "true", "1"}
        else:
            values[name] = value
    try:
        options_from(values)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return values


def parse_endpoint(text: str) -> tuple[str, int]:
    """Return `127.0.0.1:18700` as address and port."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}: expects address:port")
    return host, int(port)


def make_parser() -> argparse.ArgumentParser:
    """Return the options of the program."""
    parser = argparse.ArgumentParser(
        prog="python -m simulator",
        description="Simulated RouterOS routers that speak the binary API, with a control port beside them.",
        epilog=EPILOG + ", ".join(RouterOptions.__dataclass_fields__) + ".",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--control", type=parse_endpoint, default=("127.0.0.1", 18700), metavar="ADDRESS:PORT",
        help="where the control port listens (default 127.0.0.1:18700; port 0 takes a free one)",
    )  # fmt: skip
    parser.add_argument(
        "--router", type=parse_router, action="append", default=[], metavar="NAME=VALUE,...",
        help="one router; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--routers",
        type=int,
        default=0,
        metavar="N",
        help="make routers r1 to rN besides",
    )
    parser.add_argument(
        "--base-port",
        type=int,
        default=0,
        metavar="P",
        help="API port of r1, r2 has the next",
    )
    parser.add_argument(
        "--address",
        default="127.0.0.1",
        help="address on which --routers listen",
    )
    parser.add_argument(
        "--user",
        default="cerebro",
        help="API user of --routers (default cerebro)",
    )
    parser.add_argument(
        "--password", default="secret", help="its password (default secret)"
    )
    parser.add_argument(
        "--port-file", type=Path, metavar="FILE",
        help="write {control, routers} as JSON there once everything listens",
    )  # fmt: skip
    return parser


def router_options(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return all routers that the command line asks for."""
    routers = list(arguments.router)
    for number in range(1, arguments.routers + 1):
        routers.append(
            {
                "name": f"r{number}",
                "address": arguments.address,
                "port": arguments.base_port + number - 1
                if arguments.base_port
                else 0,
                "user": arguments.user,
                "password": arguments.password,
                "serial": f"SIM{number:08}",
                "identity": f"r{number}",
                "seed": number,
            }
        )
    return routers


async def serve(arguments: argparse.Namespace) -> None:
    """Run until a signal comes."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with Simulator(control=arguments.control) as simulator:
        for options in router_options(arguments):
            await simulator.add_router(**options)
        book = [router.address_book() for router in simulator.routers.values()]
        if arguments.port_file is not None:
            ready = {"control": simulator.control_url, "routers": book}
            partial = arguments.port_file.with_suffix(".partial")
            partial.write_text(json.dumps(ready, indent=2) + "\n")
            partial.replace(arguments.port_file)
        for router in book:
            print(
                f"router {router['name']} {router['address']}:{router['port']} user={router['user']}"
            )
        print(
            f"ready control={simulator.control_url} routers={len(book)}",
            flush=True,
        )
        await stopped.wait()


def main() -> None:
    """Entry point; exit status 1 with one line when a port cannot be taken."""
    arguments = make_parser().parse_args()
    try:
        asyncio.run(serve(arguments))
    except (OSError, ValueError) as error:
        print(f"simulator: {error}", file=sys.stderr)
        raise SystemExit(1) from None
