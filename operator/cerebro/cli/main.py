"""The command line: `cerebro agent`, `operator`, `bridge`, `tunnel` and `version`, and those of `options.py`.

Each command imports what it runs, so that help is there at once. No work is done here.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from cerebro.cli import options

if TYPE_CHECKING:
    from cerebro.runtime.settings import BasicSettings

_AnySettings = TypeVar("_AnySettings", bound="BasicSettings")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

GARBAGE = (50_000, 20, 10)
"""Thresholds of Python's collector of cyclic garbage. By default it runs after each 700 new objects, and every so
often looks at all that exist: with ten thousand Peers that holds every loop up for half a second, in each pass over
them.
"""

app = typer.Typer(
    name="cerebro",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # it would print local variables, secrets too
    help="Wi-Fi access on MikroTik hotspots, kept equal to Kubernetes objects.\n\n"
    "Each command runs one process, set up by environment variables that begin with CEREBRO_ "
    "(the bridge's begin with RELAY_ too).",
)


@app.command()
def agent() -> None:
    """Run the agent of a node: it grants and ends access on routers.

    Needs CEREBRO_NAMESPACE and KUBECONFIG outside of a pod; CEREBRO_NODE_NAME names the node.
    """
    from cerebro.agent.main import main
    from cerebro.agent.settings import AgentSettings

    settings = _settings(AgentSettings)
    run(lambda stop: main(settings, stop))


@app.command()
def operator() -> None:
    """Run the operator: it cleans up finished Sessions and commands, and says what has no agent or no Device.

    Needs CEREBRO_NAMESPACE and KUBECONFIG outside of a pod. One works at a time, others wait for its Lease.
    """
    from cerebro.operator.main import main
    from cerebro.operator.settings import OperatorSettings

    settings = _settings(OperatorSettings)
    run(lambda stop: main(settings, stop))


@app.command()
def bridge() -> None:
    """Run the bridge: HTTP for the billing backend, turned into Sessions.

    Needs RELAY_TOKEN, RELAY_API_SECRET, CEREBRO_NAMESPACE and KUBECONFIG outside of a pod.
    """

    from cerebro.bridge.main import StoreNotUsableError
    from cerebro.bridge.main import run as run_bridge
    from cerebro.bridge.order_check.row import QueryError
    from cerebro.bridge.settings import BridgeSettings
    from cerebro.bridge.store.base import StoreVersionError

    settings = _settings(BridgeSettings)
    try:
        run(lambda stop: run_bridge(settings, stop))
    except (QueryError, StoreNotUsableError, StoreVersionError) as error:
        typer.echo(f"cerebro: {error}", err=True)
        raise typer.Exit(2) from None


@app.command()
def tunnel(
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Ask the one that runs whether it is alive."
        ),
    ] = False,
) -> None:
    """Carry userspace WireGuard interfaces for the agent, which may restart without them.

    Needs NET_ADMIN, /dev/net/tun and wireguard-go. Interfaces live as long as this process.
    """

    from cerebro.runtime.settings import TunnelSettings
    from cerebro.tunnel import keeper

    settings = _settings(TunnelSettings)
    if check:
        raise typer.Exit(0 if asyncio.run(keeper.check(settings)) else 1)

    try:
        run(lambda stop: keeper.main(settings, stop))
    except keeper.CannotStart as error:
        typer.echo(f"cerebro: {error}", err=True)
        raise typer.Exit(2) from None


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(installed("cerebro"))


options.add_to(app)


def run(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run `main(stop)` to its end; SIGTERM or SIGINT sets `stop`, a second one ends the process (E14).

    The signals are taken by a thread that waits for them, and blocked everywhere else: kopf claims the event
    loop's signal handlers for itself, and would end the watchers before our loops have finished.
    Programs started from here inherit the block and must lift it.
    """

    gc.set_threshold(*GARBAGE)
    gc.freeze()
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    async def supervised() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        threading.Thread(
            target=_await_signals,
            args=(loop, stop),
            name="signals",
            daemon=True,
        ).start()

        watch = asyncio.create_task(watch_event_loop(), name="loop watch")

        try:
            await main(stop)
        finally:
            watch.cancel()

    from cerebro.kube.client.connection import ConfigError
    from cerebro.runtime.loop_watch import watch_event_loop

    try:
        asyncio.run(supervised())
    except ConfigError as error:
        typer.echo(f"cerebro: {error}", err=True)
        raise typer.Exit(2) from None


def _await_signals(
    loop: asyncio.AbstractEventLoop, stop: asyncio.Event
) -> None:
    """Wait for the signals, in a thread of its own."""
    signal.sigwait(_SIGNALS)
    loop.call_soon_threadsafe(stop.set)

    # Whoever asks twice does not want to wait.
    second = signal.sigwait(_SIGNALS)
    os._exit(128 + second)


def _settings(kind: type[_AnySettings]) -> _AnySettings:
    """Return the settings, with logging set up by them.

    A bad setting ends the process with a message and no traceback.
    """

    from cerebro.runtime import logs
    from cerebro.runtime.settings import SettingsError, load

    try:
        settings = load(kind)
    except SettingsError as error:
        typer.echo(f"cerebro: the settings cannot be used:\n{error}", err=True)
        raise typer.Exit(2) from None

    logs.configure(settings.log_level, settings.log_format)

    return settings
