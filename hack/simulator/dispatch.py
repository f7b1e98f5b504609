"""From a sentence to a handler: its words, menu and verb, policies, traps."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator import commands, printing
from simulator.actions import ACTIONS
from simulator.codec import to_text
from simulator.commands import Call, CommandRouter
from simulator.errors import MISSING, Trap, unknown_parameter

READ_VERBS = {
    "print": printing.show,
    "getall": printing.show,
    "listen": printing.listen,
}


@dataclass
class Request:
    """A sentence of a client, taken apart. `attributes` lacks the tag."""

    command: str
    attributes: dict[str, str] = field(default_factory=dict)
    queries: list[str] = field(default_factory=list)
    tag: bytes | None = None
    stray: str | None = None


def parse_request(sentence: list[bytes]) -> Request:
    """Sort the words of a sentence by their kinds; a word of no known kind is
    kept as `stray`.
    """
    request = Request(to_text(sentence[0]))
    for raw in sentence[1:]:
        first = raw[:1]
        if first == b"=":
            name, _, value = to_text(raw[1:]).partition("=")
            request.attributes[name] = value
        elif first == b"?":
            request.queries.append(to_text(raw))
        elif raw.startswith(b".tag="):
            request.tag = raw[5:]
        else:
            request.stray = to_text(raw)
    return request


def execute(call: Call) -> None:
    """Run one command; its answer, traps included, is in `call.out` or
    follows. Raises Trap.
    """
    router = call.router
    full = f"{call.path}/{call.verb}"
    action = ACTIONS.get(full)
    if action is not None and call.path not in router.absent:
        call.rights.need(action[1])
        action[0](call)
        return
    if call.path not in router.tables:
        raise _unknown(router, full)
    reader = READ_VERBS.get(call.verb)
    if reader is not None:
        call.rights.need("read")
        reader(call)
        return
    menu = call.table.menu
    handler = commands.HANDLERS.get(call.verb)
    if handler is None or call.verb not in menu.verbs:
        raise Trap("no such command", MISSING)
    call.rights.need(
        "write", *([menu.write_policy] if menu.write_policy else [])
    )
    if call.queries:
        call.queries.clear()
    _refuse_by_device_mode(call)
    _refuse_by_disk(call)
    handler(call)


def _refuse_by_device_mode(call: Call) -> None:
    options = call.router.options
    allowed = {
        "/ip/hotspot": options.device_mode_hotspot,
        "/system/scheduler": options.device_mode_scheduler,
    }
    if allowed.get(call.path, True):
        return
    enables = call.verb in {"add", "enable"} or call.arguments.get(
        "disabled"
    ) in {"no", "false"}
    if enables:
        raise Trap("failure: not allowed by device-mode")


def _refuse_by_disk(call: Call) -> None:
    """Raise the trap of a router that has no room for what it would keep; its
    text is not documented.
    """
    keeps = call.verb != "remove" and not call.table.menu.volatile
    if call.router.options.disk_full and keeps:
        raise Trap("failure: not enough space on disk")


def _unknown(router: CommandRouter, full: str) -> Trap:
    """Return the refusal of a menu that is not there: two traps, or the first
    alone; missing packages differ.
    """
    path = full.rpartition("/")[0]
    prefix = Trap("no such command prefix")
    if path in router.absent:
        return prefix
    known = {part for known in router.tables for part in _prefixes(known)}
    names = full.strip("/").split("/")
    at = next(
        (
            i
            for i in range(len(names))
            if "/" + "/".join(names[: i + 1]) not in known
        ),
        len(names) - 1,
    )
    if at == len(names) - 1 and path in known:
        return Trap("no such command", MISSING)
    more = (prefix,) if router.options.double_trap else ()
    return Trap(f"no such command or directory ({names[at]})", MISSING, more)


def _prefixes(path: str) -> list[str]:
    names = path.strip("/").split("/")
    return ["/" + "/".join(names[: i + 1]) for i in range(len(names))]


def check_request(request: Request) -> tuple[str, str]:
    """Return the menu path and verb of a request. Raises Trap when the command
    word is none of the API's.
    """
    if not request.command.startswith("/") or " " in request.command:
        name = request.command.split(" ")[0]
        raise Trap(f"no such command or directory ({name})", MISSING)
    if request.stray is not None:
        raise unknown_parameter(request.stray)
    path, _, verb = request.command.rpartition("/")
    return path, verb
