"""The command line of what people run once: options, help, exit statuses.

The work is in `bootstrap.py`, `replace.py`, `export.py`, `plan.py` and `records.py`, which know no command line.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from cerebro.bridge.audit_settings import RecordsSettings
    from cerebro.cli.cluster import Cluster

INSTALLATION = re.compile(r"[A-Za-z0-9_.-]{1,32}")
"""As in the settings of the agent."""
_Result = TypeVar("_Result")

Mac = Annotated[
    str | None, typer.Option(help="The MAC of a client, in any spelling.")
]
Ip = Annotated[str | None, typer.Option(help="The address of a client.")]
Order = Annotated[str | None, typer.Option(help="The order (pedidoId).")]

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
    app.command()(replace)
    app.command()(export)
    app.command()(plan)

    records = typer.Typer(
        no_args_is_help=True,
        help="Show or erase what the bridge recorded of access. Read are the bridge's CEREBRO_RECORDS settings.",
    )
    records.command("show")(show_records)
    records.command("erase")(erase_records)
    records.command("sql")(print_sql)
    app.add_typer(records, name="records")


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


def replace(
    device: Annotated[
        str, typer.Argument(help="Name of the Device.", show_default=False)
    ],
    *,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    serial_number: Annotated[
        str | None,
        typer.Option(
            help="Serial number of the new router. Default: that of the router which answers in the Device's place.",
            show_default=False,
        ),
    ] = None,
    public_key: Annotated[
        str | None,
        typer.Option(
            help="WireGuard key of the new router, as `cerebro bootstrap` has it printed. Default: the old key.",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing.")
    ] = False,
    wait: Annotated[
        float,
        typer.Option(
            min=0,
            max=3600,
            metavar="SECONDS",
            help="Wait for the new router to answer, and until it serves all Sessions.",
        ),
    ] = 600,
) -> None:
    """Have a Device mean another router, after a swap of hardware, and wait until that one serves all its Sessions.

    Writes spec.serialNumber, and spec.publicKey where it is given; nothing on the old router. Of a Device that Argo CD
    or Flux applies from Git it prints the change instead, and writes nothing.

    Exit status: 0 the new router serves all live Sessions; 1 nothing was written, or the API server refused; 2 wrong
    usage or kubeconfig; 3 something is still to come, or the change is to be made in Git, as the message says.
    """
    from cerebro.cli import replace as work

    request = work.Request(device, serial_number, public_key, wait)
    dialogue = work.Dialogue(
        tell=_tell,
        confirm=lambda question: yes or typer.confirm(question, err=True),
        output=typer.echo,
    )

    _run(
        kubeconfig,
        namespace,
        lambda cluster: work.run(cluster, request, dialogue),
    )


def export(
    *,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Print Hubs, Peers, and Sessions that are not over, too.",
        ),
    ] = False,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Print all Devices of a namespace as YAML, with their tunnel addresses pinned, to be applied again.

    With --all it is a backup of the objects: access that a duration had given has its end as expiresAt. No status, no
    Secret; a comment at the top names the Hubs and Secrets that are needed besides.

    Exit status: 0 printed; 1 the API server refused; 2 wrong usage or kubeconfig.
    """
    from cerebro.cli import export as work

    typer.echo(
        _run(
            kubeconfig,
            namespace,
            lambda cluster: work.run(cluster, _tell, everything=everything),
        ),
        nl=False,
    )


def plan(
    device: Annotated[
        str | None,
        typer.Argument(help="Name of the Device.", show_default=False),
    ] = None,
    *,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Print the plans of all Devices."),
    ] = False,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
) -> None:
    """Print what would be done to a router, as lines for its terminal. Nothing is written.

    A plan is made for a Device with spec.dryRun: true, and for all Devices of an agent with CEREBRO_DRY_RUN=true; the
    agent keeps it in status.plan. Rows are named by their id and by what they say, so a line that is pasted late leaves
    a row that has changed. Lines that begin with # are not run when pasted: those with a secret, which is not shown,
    and notes. At most 256 lines are shown.

    Plans go to standard output, everything else to standard error.

    Exit status: 0 printed; 1 no such Device, or the API server refused; 2 wrong usage or kubeconfig;
    3 the Device has no plan, the message says why and how to get one.
    """
    from cerebro.cli import plan as work

    if (device is None) is not everything:
        raise typer.BadParameter("name a DEVICE, or give --all")

    for line in _run(
        kubeconfig,
        namespace,
        lambda cluster: (
            work.of_all(cluster, _tell)
            if device is None
            else work.of_device(cluster, device, _tell)
        ),
    ):
        typer.echo(line)


def show_records(
    *, mac: Mac = None, ip: Ip = None, order: Order = None
) -> None:
    """Print the records of a client's or an order's access, a JSON object a line, the oldest first.

    Of several options all must be so.

    Exit status: 0 printed, also if there is none; 1 they cannot be read; 2 wrong usage or settings.
    """
    from cerebro.cli import records as work

    with _told():
        criteria = work.Criteria.of(mac, ip, order)
        for line in work.show(_records_settings(), criteria):
            typer.echo(line)


def erase_records(
    *, mac: Mac = None, ip: Ip = None, order: Order = None
) -> None:
    """Erase the records of a client's or an order's access, for good.

    Of several options all must be so. Access that lasts is recorded at its end: erase it after that.

    Exit status: 0 erased, also if there was none; 1 they cannot be reached; 2 wrong usage or settings.
    """
    from cerebro.cli import records as work

    with _told():
        criteria = work.Criteria.of(mac, ip, order)
        count = work.erase(_records_settings(), criteria)
        typer.echo(f"erased: {count}")


def print_sql() -> None:
    """Print the SQL that makes the tables of CEREBRO_RECORDS=postgresql.

    The bridge makes them itself, if its user may. Else run this first, and let its user select, insert, update and
    delete in both tables.
    """
    from cerebro.cli import records as work

    typer.echo(work.sql())


def _records_settings() -> RecordsSettings:
    """Return where records go. Raises CommandError."""
    from cerebro.bridge.audit_settings import RecordsSettings
    from cerebro.cli.cluster import CommandError
    from cerebro.runtime.settings import SettingsError, load

    try:
        return load(RecordsSettings)
    except SettingsError as error:
        raise CommandError(
            f"the settings cannot be used:\n{error}", status=2
        ) from None


@contextmanager
def _told() -> Iterator[None]:
    """Turn a CommandError into one line and its exit status."""
    from cerebro.cli.cluster import CommandError

    try:
        yield
    except CommandError as error:
        _tell(str(error))
        raise typer.Exit(error.status) from None


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
