"""`python -m backend --listen HOST:PORT`; the secret is taken from
`BACKEND_HMAC_SECRET`.
"""

import argparse
import os

from aiohttp import web

from backend.app import Backend


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(
        prog="python -m backend", description="A fake billing backend."
    )
    parser.add_argument(
        "--listen", default="127.0.0.1:18800", metavar="HOST:PORT"
    )
    host, _, port = parser.parse_args().listen.rpartition(":")
    app = Backend(os.environ.get("BACKEND_HMAC_SECRET", "")).application()
    web.run_app(app, host=host, port=int(port), print=None, shutdown_timeout=1)


if __name__ == "__main__":
    main()
