"""`python -m controlplane install`: get the programs before anything needs
them, and say where they are.
"""

import sys

from controlplane import binaries


def main(arguments: list[str]) -> int:
    """Run the one command; 0: the programs are there, 1: they cannot be had,
    2: called wrongly.
    """
    if arguments != ["install"]:
        print("usage: python -m controlplane install", file=sys.stderr)
        return 2
    try:
        found = binaries.ensure()
    except binaries.MissingBinariesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(
        f"control plane {binaries.kubernetes_version()}: {found.kube_apiserver.parent}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
