"""`python -m argocd`: write what is made in `deploy/argocd` anew; with
`--check` only say what differs.
"""

import argparse
import sys

from argocd.files import stale, wanted


def main(arguments: list[str]) -> int:
    """Write or check; 1: a file is not as it is made."""
    parser = argparse.ArgumentParser(
        prog="python -m argocd", description=__doc__
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing, say what differs"
    )
    options = parser.parse_args(arguments)

    texts, paths = wanted(), stale()
    for path in paths:
        if options.check:
            print(f"error: {path}: make argocd", file=sys.stderr)
        elif path in texts:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts[path])
        else:
            path.unlink()

    return 1 if options.check and paths else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
