"""The table of verdicts in `docs/argocd.md`. Pure."""

from argocd.verdicts import VERDICTS, Verdict

BEGIN = "<!-- verdicts: made by `make argocd` -->\n"
END = "<!-- end of verdicts -->\n"
_KINDS = ("Hub", "Peer", "Device", "Session", "DeviceCommand")


def with_table(text: str) -> str:
    """Return the page with the table of today's verdicts."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)

    return before + BEGIN + table() + END + after


def table() -> str:
    """Return the table: a row for each kind and verdict."""
    lines = ["", "| kind | verdict | reasons |", "| --- | --- | --- |"]
    for kind in _KINDS:
        for health in ("Healthy", "Progressing", "Suspended", "Degraded"):
            texts = dict.fromkeys(
                _text(verdict)
                for verdict in VERDICTS
                if (verdict.kind, verdict.health) == (kind, health)
            )
            if texts:
                lines.append(f"| {kind} | {health} | {', '.join(texts)} |")

    return "\n".join([*lines, "", ""])


def _text(verdict: Verdict) -> str:
    reason = f"`{verdict.reason}`"
    is_split = any(
        (verdict.kind, verdict.reason) == (rival.kind, rival.reason)
        and verdict.health != rival.health
        for rival in VERDICTS
    )

    return f"{reason} ({verdict.phase})" if is_split else reason
