"""What the image's reports say of its files."""

import io
import json
import re
import tarfile
from pathlib import Path

from image.contents import Package, packages_in
from image.sbom import bill_of_materials

ROOT = Path(__file__).resolve().parents[3]
PIN = re.compile(r"^(\S+==\S+)", re.MULTILINE)

STATUS = """\
Package: nftables
Status: install ok installed
Version: 1.0.6-2

Package: apt
Status: deinstall ok config-files
Version: 2.6.1
"""
COPYRIGHT = "Files: *\nLicense: GPL-2+\n\nFiles: x\nLicense: MIT\n"
METADATA = """\
Name: librouteros
Version: 4.2.2
License-Expression: GPL-2.0-or-later
Classifier: License :: OSI Approved :: Something Else

License: not a field, but text
"""
NFTABLES = Package("deb", "nftables", "1.0.6-2", ("GPL-2+", "MIT"))
LIBROUTEROS = Package("pypi", "librouteros", "4.2.2", ("GPL-2.0-or-later",))


def archive(**files: str) -> tarfile.TarFile:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))

    written.seek(0)
    return tarfile.open(fileobj=written)


def test_packages_of_both_kinds_are_listed_with_their_licences() -> None:
    folder = "opt/cerebro/lib/python3.11/site-packages"
    files = archive(
        **{
            "./var/lib/dpkg/status": STATUS,
            "usr/share/doc/nftables/copyright": COPYRIGHT,
            f"{folder}/librouteros-4.2.2.dist-info/METADATA": METADATA,
            f"{folder}/librouteros/METADATA": "Name: not a package\n",
        }
    )
    assert packages_in(files) == [NFTABLES, LIBROUTEROS]


def test_the_bill_of_materials_names_each_package() -> None:
    bom = json.loads(
        bill_of_materials("cerebro", "1", [NFTABLES, LIBROUTEROS])
    )
    assert bom["bomFormat"] == "CycloneDX"
    names = {item["purl"]: item["licenses"] for item in bom["components"]}
    assert set(names) == {
        "pkg:deb/debian/nftables@1.0.6-2?distro=bookworm",
        "pkg:pypi/librouteros@4.2.2",
    }
    assert {"license": {"name": "GPL-2.0-or-later"}} in names[
        "pkg:pypi/librouteros@4.2.2"
    ]


def test_the_image_has_the_versions_that_the_tests_use() -> None:
    tested = set(PIN.findall((ROOT / "requirements.lock").read_text()))
    image = ROOT / "deploy" / "image" / "requirements.lock"
    shipped = set(PIN.findall(image.read_text()))
    assert shipped
    assert shipped <= tested, "make lock computes them anew"
