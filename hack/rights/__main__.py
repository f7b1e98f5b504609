"""`python -m rights`: write `docs/rights.md` anew; with `--check` only say
whether it differs.
"""

import sys

from cerebro.cli.generated_page import write_or_check
from rights.page import PAGE, render


def main(arguments: list[str]) -> int:
    """Write or check; 1: the page is not as it is made."""
    return write_or_check(
        PAGE, render, command="make rights-page", arguments=arguments
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
