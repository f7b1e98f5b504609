"""`python -m rights`: write `docs/rights.md` anew; with `--check` only say
whether it differs.
"""

import argparse
import sys

from rights.page import PAGE, render


def main(arguments: list[str]) -> int:
    """Write or check; 1: the page is not as it is made."""
    parser = argparse.ArgumentParser(
        prog="python -m rights", description=__doc__
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing, say whether it differs",
    )
    options = parser.parse_args(arguments)

    text = render()
    if PAGE.exists() and PAGE.read_text() == text:
        return 0

    if options.check:
        print(f"error: {PAGE}: make rights-page", file=sys.stderr)
        return 1

    PAGE.write_text(text)

    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
