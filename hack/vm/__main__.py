"""`python -m vm run [--seconds N] [--folder DIR] [--reach PORT]... -- CMD...`:
run a command in the machine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from vm.machine import MachineError, run

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def _vm() -> None:
    """A virtual machine with WireGuard in its kernel, on this machine's own
    files.
    """


@app.command("run")
def _run(
    argv: list[str],
    seconds: Annotated[
        float, typer.Option(help="for all of it, boot included")
    ] = 600.0,
    folder: Annotated[
        Path | None, typer.Option(help="what is written to it inside stays")
    ] = None,
    processors: Annotated[int, typer.Option(help="that it has")] = 1,
    reach: Annotated[
        list[int] | None,
        typer.Option(help="port of 127.0.0.1 to be had inside"),
    ] = None,
) -> None:
    """Run a command inside and exit with its status."""
    kept = (folder or Path(tempfile.mkdtemp(prefix="vm-"))).resolve()
    kept.mkdir(parents=True, exist_ok=True)
    try:
        status = run(
            argv,
            kept,
            deadline=seconds,
            reach=reach or (),
            processors=processors,
            follow=True,
        )
    except MachineError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(125) from None
    raise typer.Exit(status)


if __name__ == "__main__":
    app()
