"""The fake backend's HTTP: feed and ACK as the contract has them, and a
control path for tests and people.

| path | what |
| --- | --- |
| GET /events | the events that nobody acknowledged yet, signed with `x-backend-hmac` |
| POST /ack | takes an ACK; its event leaves the feed |
| POST /control/events | puts one event, or a list of them, into the feed |
| GET /control/events, GET /control/acks | what is in the feed, and every ACK in order of arrival |
| GET /control/polls | `{"polls": n, "refused": n}` |
| GET, PUT /control/faults | what is wrong: see `faults.Faults` |
| DELETE /control | forgets everything |
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections import deque
from dataclasses import asdict
from typing import Any

from aiohttp import web

from backend.faults import HANG, Faults, Refused, half, hang_or_fail

REMEMBERED = 10_000
MAX_BODY = 4 << 20


def sign(secret: str, content: bytes) -> str:
    """Hex HMAC-SHA256, as all signatures between relay and backend are."""
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


class Backend:
    """What the fake backend remembers. With an empty `secret` nothing is
    signed or checked.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._events: dict[str, dict[str, Any]] = {}
        self._acks: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)
        self._polls = 0
        self._refused = 0
        self._faults = Faults()

    def application(self) -> web.Application:
        """The HTTP application over this memory."""
        app = web.Application(client_max_size=MAX_BODY)
        app.add_routes(
            [
                web.get("/events", self._feed),
                web.post("/ack", self._acknowledge),
                web.post("/control/events", self._enqueue),
                web.get("/control/events", self._list_events),
                web.get("/control/acks", self._list_acks),
                web.get("/control/polls", self._count),
                web.get("/control/faults", self._show_faults),
                web.put("/control/faults", self._set_faults),
                web.delete("/control", self._forget),
            ]
        )
        return app

    async def _feed(self, request: web.Request) -> web.Response:
        self._polls += 1
        fault = self._faults.feed
        broken = await hang_or_fail(fault)
        if broken is not None:
            return broken
        if not self._signed(
            request, request.headers.get("x-relay-ts", "").encode()
        ):
            return self._refuse()
        events = [
            event
            for event in self._events.values()
            for _ in range(self._faults.times)
        ]
        body = json.dumps(events).encode()
        secret = "wrong" if fault == "signature" else self._secret
        headers = {"x-backend-hmac": sign(secret, body)} if secret else {}
        answer = web.Response(
            body=body, content_type="application/json", headers=headers
        )
        return await half(request, answer) if fault == "half" else answer

    async def _acknowledge(self, request: web.Request) -> web.Response:
        body = await request.read()
        broken = await hang_or_fail(self._faults.ack)
        if broken is not None:
            return broken
        if not self._signed(request, body):
            return self._refuse()
        try:
            ack = json.loads(body)
            event_id, ok = ack["eventId"], ack["ok"]
        except (ValueError, KeyError, TypeError):
            return _bad("an ACK is JSON with eventId, ok and payload")
        self._acks.append(
            {"eventId": event_id, "ok": ok, "payload": ack.get("payload")}
        )
        if not self._faults.keep:
            self._events.pop(event_id, None)
        if self._faults.ack == "unanswered":
            await asyncio.sleep(HANG)
        return web.json_response({"ok": True})

    async def _enqueue(self, request: web.Request) -> web.Response:
        try:
            given = await request.json()
        except ValueError:
            return _bad("the body is no JSON")
        events = given if isinstance(given, list) else [given]
        if not all(
            isinstance(event, dict) and event.get("eventId")
            for event in events
        ):
            return _bad(
                "an event is an object with eventId, type, payload and timestamp"
            )
        if len(self._events) + len(events) > REMEMBERED:
            return _bad(f"the feed holds at most {REMEMBERED} events")
        for event in events:
            self._events[event["eventId"]] = {
                "payload": {},
                "timestamp": int(time.time() * 1000),
                **event,
            }
        return web.json_response({"queued": len(self._events)}, status=201)

    async def _list_events(self, _: web.Request) -> web.Response:
        return web.json_response(list(self._events.values()))

    async def _list_acks(self, _: web.Request) -> web.Response:
        return web.json_response(list(self._acks))

    async def _count(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"polls": self._polls, "refused": self._refused}
        )

    async def _show_faults(self, _: web.Request) -> web.Response:
        return web.json_response(asdict(self._faults))

    async def _set_faults(self, request: web.Request) -> web.Response:
        try:
            self._faults.change(await request.json())
        except ValueError:
            return _bad("the body is no JSON")
        except Refused as error:
            return _bad(str(error))
        return await self._show_faults(request)

    async def _forget(self, _: web.Request) -> web.Response:
        self._events.clear()
        self._acks.clear()
        self._polls = self._refused = 0
        self._faults = Faults()
        return web.json_response({"ok": True})

    def _signed(self, request: web.Request, content: bytes) -> bool:
        given = request.headers.get("x-relay-hmac", "")
        return not self._secret or hmac.compare_digest(
            given.encode(), sign(self._secret, content).encode()
        )

    def _refuse(self) -> web.Response:
        self._refused += 1
        return web.json_response(
            {"error": "x-relay-hmac is absent or wrong"}, status=401
        )


def _bad(text: str) -> web.Response:
    return web.json_response({"error": text}, status=400)
