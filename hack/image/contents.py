"""What is in the image: Debian's packages and Python's, with their licences."""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import Parser
from pathlib import PurePosixPath
from typing import Literal

Kind = Literal["deb", "pypi"]

_STATUS = "var/lib/dpkg/status"
_COPYRIGHT = re.compile(r"usr/share/doc/(?P<package>[^/]+)/copyright\Z")
_LICENCE = re.compile(r"^License:\s*(\S.*)$", re.MULTILINE)
_CLASSIFIER = "License :: OSI Approved :: "


@dataclass(frozen=True, slots=True)
class Package:
    """A package in the image."""

    kind: Kind
    name: str
    version: str
    licences: tuple[str, ...]
    """As the package names them, sorted; empty if it names none."""


def packages_in(archive: tarfile.TarFile) -> list[Package]:
    """Return the packages in an image's files, sorted by kind and name."""
    debian: list[tuple[str, str]] = []
    copyrights: dict[str, str] = {}
    packages: list[Package] = []

    for member in archive:
        path = member.name.removeprefix("./")
        copyright_file = _COPYRIGHT.match(path)
        if path == _STATUS:
            debian += _installed(_text(archive, member))
        elif copyright_file is not None and member.isfile():
            name = copyright_file["package"]
            copyrights[name] = _text(archive, member)
        elif PurePosixPath(path).match("*.dist-info/METADATA"):
            packages.append(_python_package(_text(archive, member)))

    for name, version in debian:
        licences = _LICENCE.findall(copyrights.get(name, ""))
        names = tuple(sorted(set(licences)))
        packages.append(Package("deb", name, version, names))

    return sorted(packages, key=lambda package: (package.kind, package.name))


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member)
    return file.read().decode(errors="replace") if file is not None else ""


def _installed(status: str) -> Iterator[tuple[str, str]]:
    """Return name and version of each installed package in dpkg's status."""
    for paragraph in status.split("\n\n"):
        fields = Parser().parsestr(paragraph)
        if fields["Status"] == "install ok installed":
            yield fields["Package"], fields["Version"]


def _python_package(metadata: str) -> Package:
    fields = Parser().parsestr(metadata)
    classifiers = fields.get_all("Classifier", [])
    licences = {
        text.removeprefix(_CLASSIFIER)
        for text in classifiers
        if text.startswith(_CLASSIFIER)
    }

    expression = fields["License-Expression"] or fields["License"]
    if expression and "\n" not in expression:
        licences = {expression}

    names = tuple(sorted(licences))
    return Package("pypi", fields["Name"], fields["Version"], names)
