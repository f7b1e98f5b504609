"""`python -m dashboard`: write `deploy/monitoring/dashboard.json` anew; with
`--check` only say whether it differs.
"""

import sys
from pathlib import Path

from cerebro.cli.generated_page import write_or_check
from dashboard.grafana import text_of
from dashboard.model import read_rows

PANELS = Path(__file__).with_name("panels.yaml")
ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "monitoring" / "dashboard.json"


def main(arguments: list[str]) -> int:
    """Write or check; 1: the file is not as it is made."""
    return write_or_check(
        FILE,
        lambda: text_of(read_rows(PANELS.read_text())),
        command="make dashboard",
        arguments=arguments,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
