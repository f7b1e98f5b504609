"""The command line of what people run once: options, help, exit statuses.

The work is in `bootstrap.py` and `export.py`, which know no command line.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from cerebro.cli.cluster import Cluster

INSTALLATION = re.compile(r"[A-Za-z0-9_.-]{1,32}")
"""As in the settings of the agent."""
_Result = TypeVar("_Result")

Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        help="Kubeconfig file. Default: KUBECONFIG, then ~/.kube/config, then the pod's account."
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        envvar="CEREBRO_NAMESPACE",
        help="Namespace. Default: the kubeconfig's.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(bootstrap)
    app.command()(export)


def bootstrap(
    device: Annotated[
        str, typer.Argument(help="Name of the Device.", show_default=False)
    ],
    *,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    installation: Annotated[
        str,
        typer.Option(
            envvar="CEREBRO_INSTALLATION",
            help="Name of the installation: it is in the comments and the interface's name on the router.",
        ),
    ] = "main",
    reset_endpoint: Annotated[
        bool | None,
        typer.Option(
            "--reset-endpoint/--no-reset-endpoint",
            help="Have the router set the endpoint again after three minutes without a handshake. "
            "Default: where the endpoint is a host name, or the Hub has no nodeName.",
            show_default=False,
        ),
    ] = None,
    wait: Annotated[
        float,
        typer.Option(
            min=0,
            max=3600,
            metavar="SECONDS",
            help="Wait for the Hub's key and the Device's address when they are not there yet.",
        ),
    ] = 0,
) -> None:
    """Print the script that makes a router dial its Hub, to be pasted into the router's terminal.

    The router makes its own key pair; the script ends by printing the command that gives its public key back.
    Pasted twice it changes nothing. The script goes to standard output, everything else to standard error.

    Exit status: 0 printed; 1 no such Device or Hub, or the API server refused; 2 wrong usage or kubeconfig;
    3 something is not there yet, the message says which field.
    """
    from cerebro.cli import bootstrap as work

    if not INSTALLATION.fullmatch(installation):
        raise typer.BadParameter(
            "must be at most 32 letters, digits, '_', '.' or '-'",
            param_hint="installation",
        )

    request = work.Request(device, installation, reset_endpoint, wait)
    for line in _run(
        kubeconfig,
        namespace,
        lambda cluster: work.run(cluster, request, _tell),
    ):
        typer.echo(line)


def export(namespace: Namespace = None, kubeconfig: Kubeconfig = None) -> None:
    """Print all Devices of a namespace as YAML, with their tunnel addresses pinned, to be applied again.

    No status, no Secret; a comment at the top names the Hubs and Secrets that the Devices need.

    Exit status: 0 printed; 1 the API server refused; 2 wrong usage or kubeconfig.
    """
    from cerebro.cli import export as work

    typer.echo(
        _run(kubeconfig, namespace, lambda cluster: work.run(cluster, _tell)),
        nl=False,
    )


def _tell(text: str) -> None:
    typer.echo(f"cerebro: {text}", err=True)


def _run(
    kubeconfig: Path | None,
    namespace: str | None,
    work: Callable[[Cluster], Awaitable[_Result]],
) -> _Result:
    """Do the work and return its result; what goes wrong is one line and an exit status, never a traceback."""
    from cerebro.cli.cluster import CommandError, using
    from cerebro.kube.client.connection import ConfigError
    from cerebro.kube.client.errors import KubeError

    try:
        return asyncio.run(using(kubeconfig, namespace, work))
    except CommandError as error:
        message, status = str(error), error.status
    except ConfigError as error:
        message, status = str(error), 2
    except KubeError as error:
        message, status = str(error), 1

    _tell(message)

    raise typer.Exit(status)
