"""The bill of materials of the image, in CycloneDX's form."""

from collections.abc import Iterable

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from image.base import RELEASE
from image.contents import Package


def bill_of_materials(
    image: str, version: str, packages: Iterable[Package]
) -> str:
    """Return the bill of materials of an image as JSON."""
    bom = Bom()
    whole = Component(
        type=ComponentType.CONTAINER, name=image, version=version
    )
    bom.metadata.component = whole

    licences = LicenseFactory()
    for package in packages:
        named = [licences.make_with_name(name) for name in package.licences]
        bom.components.add(
            Component(
                name=package.name,
                version=package.version,
                purl=_purl(package),
                licenses=named,
            )
        )

    bom.register_dependency(whole, bom.components)

    return str(JsonV1Dot6(bom).output_as_string(indent=2))


def _purl(package: Package) -> PackageURL:
    """Return the package's name as tools that look for known faults read it."""
    if package.kind == "deb":
        return PackageURL(
            "deb",
            "debian",
            package.name,
            package.version,
            {"distro": RELEASE},
        )

    return PackageURL("pypi", None, package.name.lower(), package.version)
