"""A backend that nobody can call: it offers events to the relay's polls, and takes an ACK for each.

python3 feed.py PORT < EVENTS

EVENTS has one event a line, in JSON: {"eventId": …, "type": …, "payload": {…}, "timestamp": milliseconds}. It ends when
each event has its final ACK. The environment has BACKEND_HMAC_SECRET, the same as the bridge's.
"""

import hashlib
import hmac
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

SECRET = os.environ["BACKEND_HMAC_SECRET"].encode()
waiting: dict[str, dict[str, object]] = {}
"""Events without a final ACK, by their eventId. A real backend has them in its database."""


def signature(content: bytes) -> str:
    """Return the signature of what one side sends to the other."""
    return hmac.new(SECRET, content, hashlib.sha256).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """GET /events is BACKEND_EVENTS_URL, POST /ack is BACKEND_ACK_URL."""

    def do_GET(self) -> None:
        """Offer all events that have no final ACK; an event may be offered again and again."""
        polled_at = self.headers.get("X-Relay-Ts", "")
        self.answer(polled_at.encode(), list(waiting.values()))

    def do_POST(self) -> None:
        """Take an ACK. `pending` is not final: the final one follows."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.answer(body, {"ok": True}):
            ack = json.loads(body)
            reason = ack["payload"].get("reason", "")
            print(ack["eventId"], "ok" if ack["ok"] else reason, flush=True)
            if reason != "pending":
                waiting.pop(ack["eventId"], None)

    def answer(self, signed: bytes, content: object) -> bool:
        """Answer the relay, and nobody else. Return whether it was the relay."""
        given = self.headers.get("X-Relay-Hmac", "")
        known = hmac.compare_digest(given.encode(), signature(signed).encode())
        body = json.dumps(
            content if known else {"error": "signature"}
        ).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Backend-Hmac", signature(body))
        self.end_headers()
        self.wfile.write(body)
        return known

    def log_message(self, *_: object) -> None:
        """Say nothing of each poll."""


if __name__ == "__main__":
    for line in sys.stdin:
        event = json.loads(line)
        waiting[event["eventId"]] = event

    server = HTTPServer(("", int(sys.argv[1])), Handler)
    while waiting:
        server.handle_request()
