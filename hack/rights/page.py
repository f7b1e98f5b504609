"""`docs/rights.md`, out of the table of rights and the policies of
admission.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml

from rights.granted import ROLES, Grant
from rights.refused import ALL_ACCOUNTS, REFUSALS, Refusal

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "rights.md"
_POLICIES = ROOT / "deploy" / "base" / "admission.yaml"
_HEAD = """# Rights

Made by `make rights-page` out of `hack/rights` and `deploy/base`; do not edit it by hand.

Each process has the rights of its work and no more, all of them in its own namespace: there is no ClusterRole.

| process | account | roles |
| --- | --- | --- |
| agent | `cerebro-agent` | `cerebro-agent` |
| operator | `cerebro-operator` | `cerebro-operator` |
| bridge in the operator's pod | `cerebro-operator`, as a pod has one | `cerebro-operator` and `cerebro-bridge` |
| bridge apart (overlays `bridge-apart`, `highly-available`) | `cerebro-bridge` | `cerebro-bridge` |
| tunnel | none: its pod has no token | none |

A test runs all processes under these accounts and reads the API server's audit log: each verb below is used, and
nothing else is called for. What your cluster says of an account:

```
kubectl auth can-i --list --namespace cerebro --as=system:serviceaccount:cerebro:cerebro-agent
```

## What each role grants
"""
_REFUSED = """
## What no role grants

A choice; a test asks a real API server about each line. Where the bridge runs beside the operator, their account may do
what either of them may.

| who | may not | because |
| --- | --- | --- |
"""
_ADMISSION = """
## What policies refuse besides

Roles allow a verb on a kind; these policies look into the object. They bind the three accounts, and ask nothing of
people.

| policy | says when it refuses |
| --- | --- |
"""


def render() -> str:
    """Return the page."""
    parts = [_HEAD]
    parts += [_role(role, grants) for role, grants in ROLES.items()]
    parts.append(_REFUSED + "".join(map(_refusal, REFUSALS)))
    parts.append(_ADMISSION + "".join(_policies()))

    return "".join(parts)


def _role(role: str, grants: Iterable[Grant]) -> str:
    lines = ["", f"### {role}", "", "| resource | of | verbs | for |"]
    lines.append("| --- | --- | --- | --- |")
    lines += [
        f"| {_resources(grant)} | {grant.group or 'core'} | "
        f"{', '.join(grant.verbs)} | {grant.why} |"
        for grant in grants
    ]

    return "\n".join([*lines, ""])


def _resources(grant: Grant) -> str:
    text = ", ".join(f"`{resource}`" for resource in grant.resources)
    names = " and ".join(f"`{name}`" for name in grant.names)

    return f"{text}: only {names}" if names else text


def _refusal(refusal: Refusal) -> str:
    who = "all"
    if refusal.accounts != ALL_ACCOUNTS:
        who = ", ".join(f"`{account}`" for account in refusal.accounts)

    return f"| {who} | {refusal.what} | {refusal.why} |\n"


def _policies() -> list[str]:
    documents = yaml.safe_load_all(_POLICIES.read_text())

    return [
        f"| `{document['metadata']['name']}` | {_one_line(validation)} |\n"
        for document in documents
        if document["kind"] == "ValidatingAdmissionPolicy"
        for validation in document["spec"]["validations"]
    ]


def _one_line(validation: dict[str, str]) -> str:
    return " ".join(validation["message"].split())
