"""Makes docs/waiting.md out of the table of verdicts, so that the page says what a waiter is told.

python -m cerebro.cli.verdicts_page            writes it
python -m cerebro.cli.verdicts_page --check    fails when it differs
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from cerebro.cli.generated_page import write_or_check
from cerebro.resources.kinds import KINDS
from cerebro.resources.verdicts import VERDICTS, Health, Verdict

COMMAND = "python -m cerebro.cli.verdicts_page"
PAGE = Path("docs/waiting.md")

_HEAD = """# Waiting for an object

Made by `make verdicts-page` out of the code; do not edit it by hand.

Each object says itself whether somebody who waits for it is done, has to go on, or waits in vain. `kubectl wait`,
kstatus (Helm, Flux) and Argo CD agree on each reason:

| | the object has | kstatus | Argo CD | `kubectl wait` |
| --- | --- | --- | --- | --- |
| done | `Ready` True | Current | Healthy | `condition=Ready` is met |
| it ends by itself | `Reconciling` True | InProgress | Progressing | goes on |
| paused, or in dry run | `Ready` False alone | InProgress | Suspended | goes on |
| only a person can mend it | `Stalled` True | Failed | Degraded | `condition=Stalled` is met |
| new or changed | an old `observedGeneration` | InProgress | Progressing | goes on |

`Reconciling` and `Stalled` are there only while they are True, and have the reason and the message of `Ready`. Of a
Session that ended and is still on the router, `Ready` says how it ended, and `Enforced` decides. A warning leaves a
Device Ready and is in the message. The condition `Guarded` changes nothing. What is being deleted is Terminating for
kstatus and Progressing for Argo CD, whatever it says.

`status.observedGeneration` is the `metadata.generation` that was judged; until somebody has looked it is -1, and of a
Session 0: processes of the release before this one, which run beside the new ones during an upgrade, cannot read a
Session that has -1. The next release may change that.

kstatus takes an object that is paused or in dry run for one in progress, as it has no word for it: Helm and Flux wait
until that is taken back, or their time is over. A Device or Hub in dry run that needs no change is Ready.

`kubectl wait` takes one condition. In bash, which has `wait -n`, this ends at the first of two:

```
kubectl --namespace cerebro wait --for=condition=Ready device/router-1 --timeout=5m &
kubectl --namespace cerebro wait --for=condition=Stalled device/router-1 --timeout=5m &
wait -n
```

The status below is that of the deciding condition. Where nobody could look it may be Unknown instead of False, and the
verdict is the same: a reason that may have either status is in the row of False only. What to do about a reason is in
[operating.md](operating.md#conditions-and-what-to-do).
"""

_WORDS: dict[Health, tuple[str, str]] = {
    "Healthy": ("Current", "`Ready` is met"),
    "Progressing": ("InProgress", "goes on, `Reconciling` is met"),
    "Suspended": ("InProgress", "goes on"),
    "Degraded": ("Failed", "`Stalled` is met"),
}
"""What kstatus and `kubectl wait --for=condition=` make of what Argo CD calls so."""


def render() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *_sections()])


def _sections() -> Iterator[str]:
    for kind in KINDS:
        yield f"## {kind}\n"
        yield "| reasons | status | kstatus | Argo CD | `kubectl wait` |"
        yield "| --- | --- | --- | --- | --- |"
        of_kind = list(_rows(kind))
        groups = dict.fromkeys(
            (verdict.health, verdict.status) for verdict in of_kind
        )
        for health, status in groups:
            members = [
                verdict
                for verdict in of_kind
                if (verdict.health, verdict.status) == (health, status)
            ]
            reasons = ", ".join(dict.fromkeys(map(_reason, members)))
            kstatus, wait = _WORDS[health]
            yield f"| {reasons} | {status} | {kstatus} | {health} | {wait} |"

        yield ""


def _rows(kind: str) -> Iterator[Verdict]:
    """Yield the verdicts of a kind, without an Unknown whose reason is False elsewhere: health goes by the reason."""
    of_kind = [verdict for verdict in VERDICTS if verdict.kind == kind]
    false = {
        verdict.reason for verdict in of_kind if verdict.status == "False"
    }
    for verdict in of_kind:
        if verdict.status != "Unknown" or verdict.reason not in false:
            yield verdict


def _reason(verdict: Verdict) -> str:
    note = f" ({verdict.note})" if verdict.note else ""

    return f"`{verdict.reason}`{note}"


def main(arguments: list[str] | None = None) -> int:
    """Write the page or check it; the exit status is 1 if it is not up to date."""
    return write_or_check(PAGE, render, command=COMMAND, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
