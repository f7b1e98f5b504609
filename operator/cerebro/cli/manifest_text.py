"""Manifests as YAML that kubectl reads as we do. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

import yaml

from cerebro.kube.client.api import Manifest


class _Dumper(yaml.SafeDumper):
    """Writes YAML that kubectl reads as we do: what its YAML takes for a number or a bool has quotes too.

    PyYAML knows fewer of them: an order `12e5` or a node `n` would come back as a number or a bool, and be refused.
    """


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^[yYnN]$"), list("yYnN")
)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile("^[-+]?0[xXoObB][0-9a-fA-F_]+$"),
    list("-+0"),
)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^[-+]?(\.[0-9_]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9_]+)?$"
    ),
    list("-+.0123456789"),
)


def yaml_of(manifests: Iterable[Manifest]) -> str:
    """Return manifests as documents of YAML, each with its own start."""
    text: str = yaml.dump_all(
        manifests,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        explicit_start=True,
    )

    return text
