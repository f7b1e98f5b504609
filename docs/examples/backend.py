"""A billing backend: let the phone of a paid order in, or end its access. Python's standard library is enough.

python3 backend.py pay ORDER ROUTER MAC
python3 backend.py revoke ORDER ROUTER

The environment has RELAY_URL, RELAY_TOKEN and RELAY_API_SECRET.
"""

import hashlib
import hmac
import json
import os
import sys
import time
import urllib.error
import urllib.request

URL = os.environ["RELAY_URL"]
PATIENCE = 300.0  # seconds; the relay goes on trying an order after that
Fields = dict[str, object]


def post(path: str, fields: Fields) -> tuple[int, Fields]:
    """Sign and send one call; return the status and the answer. Raises URLError while nobody answers."""
    body = json.dumps(fields).encode()
    timestamp = str(int(time.time() * 1000))
    nonce = os.urandom(16).hex()
    digest = hashlib.sha256(body).hexdigest()
    message = f"POST\n{path}\n{timestamp}\n{nonce}\n{digest}"
    key = os.environ["RELAY_API_SECRET"].encode()
    signature = hmac.new(key, message.encode(), hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "Authorization": "Bearer " + os.environ["RELAY_TOKEN"],
        "X-Relay-Ts": timestamp,
        "X-Relay-Nonce": nonce,
        "X-Relay-Signature": signature,
    }
    request = urllib.request.Request(URL + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def until_done(path: str, fields: Fields) -> None:
    """Send a call until it is done. It names its order, so that sent again it is the same order."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            status, answer = post(path, fields)
        except (OSError, ValueError) as error:
            # Nobody answered, or a proxy did. Whether it arrived is not known.
            status, answer = 503, {"code": "no_answer", "message": str(error)}

        if status == 200:
            return
        # 503 and 429 pass. Any other status needs a person.
        if status not in (503, 429) or time.monotonic() > deadline:
            sys.exit(f"{status} {answer['code']}: {answer['message']}")
        print(f"waiting: {answer['code']}", file=sys.stderr)
        time.sleep(2)


def main(command: str, order: str, router: str, mac: str = "") -> None:
    """Carry out one command; what is printed is so on the router."""
    call: Fields = {"pedidoId": order, "mikId": router}
    if command == "pay":
        call |= {"mac": mac, "planoMinutos": 720}
        until_done("/relay/authorize-by-pedido", call)
        print(f"{mac} is in at {router}")
    elif command == "revoke":
        until_done("/relay/revoke", call)
        print(f"{order} has no access any more at {router}")


if __name__ == "__main__":
    main(*sys.argv[1:])
