"""`python -m dashboard`: write `deploy/monitoring/dashboard.json` anew; with
`--check` only say whether it differs.
"""

import argparse
import sys
from pathlib import Path

from dashboard.grafana import text_of
from dashboard.model import read_rows

PANELS = Path(__file__).with_name("panels.yaml")
ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "deploy" / "monitoring" / "dashboard.json"


def main(arguments: list[str]) -> int:
    """Write or check; 1: the file is not as it is made."""
    parser = argparse.ArgumentParser(
        prog="python -m dashboard", description=__doc__
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing, say what differs"
    )
    options = parser.parse_args(arguments)

    text = text_of(read_rows(PANELS.read_text()))
    if not options.check:
        FILE.write_text(text)
        return 0

    if FILE.exists() and FILE.read_text() == text:
        return 0

    print(f"error: {FILE}: make dashboard", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
