"""`print`, `getall` and `listen`: selecting rows and showing them.

Shows normal forms in an attribute order that is shuffled by the router's seed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from simulator.codec import encode_length, to_bytes
from simulator.commands import Call
from simulator.errors import unknown_parameter
from simulator.query import compile_query, queried_names, single_equality
from simulator.row import Row
from simulator.table import Event, Table
from simulator.values import Kind, Reference, parse_duration

FLAGS = frozenset(
    [
        "count-only",
        "detail",
        "stats",
        "bytes",
        "packets",
        "status",
        "oid",
        "file",
        "append",
        "from",
        "interval",
        "follow",
        "follow-only",
        "without-paging",
        "terse",
        "value-list",
        "as-value",
        "group-by",
        "show-ids",
        "show-sensitive",
    ]
)
SINGLETON_FLAGS = frozenset({"as-value", "file", "interval", "without-paging"})
SHUFFLES = 8
MASK = "*****"

Shown = Callable[[Row], str | None]


class View:
    """How one command sees a table: which properties, typed queries, secrets
    masked or not.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.table: Table = call.table
        router = call.router
        self.special: dict[str, Shown] = {}
        for prop in self.table.menu.properties:
            shown = self._special(prop.name)
            if shown is not None:
                self.special[prop.name] = shown
        kinds: dict[str, Kind] = {
            p.name: p.kind for p in self.table.menu.properties
        }
        self.test = compile_query(call.queries, kinds, router.tables)
        equality = single_equality(call.queries, kinds, router.tables)
        self.equality = (
            None
            if equality is None or equality[0] in self.special
            else equality
        )
        self.orders = self._orders(call.arguments.get(".proplist"))
        self._turn = 0

    def _special(self, name: str) -> Shown | None:
        prop = self.table.properties[name]
        router = self.call.router
        if prop.computed is not None:
            computed = prop.computed
            return lambda row: computed(router, row)
        if prop.write_only:
            return lambda _row: None
        if prop.secret and "sensitive" not in self.call.rights.policies:
            return lambda row: MASK if name in row.values else None
        if isinstance(prop.kind, Reference):
            kind = prop.kind
            return lambda row: (
                kind.show(row.values[name], router.tables)
                if name in row.values
                else None
            )
        return None

    def _orders(self, proplist: str | None) -> list[list[tuple[str, bytes]]]:
        router, menu = self.call.router, self.table.menu
        names = [".id"] * (not menu.singleton) + [
            p.name for p in menu.properties
        ]
        if router.options.extra_keys:
            names += ["about"] + [".nextid"] * menu.ordered
            self.special["about"] = lambda _row: "a remark of this version"
            self.special[".nextid"] = self._next_id
        if proplist is not None:
            wanted = set(proplist.split(","))
            names = [name for name in names if name in wanted]
        pairs = [(name, b"=" + to_bytes(name) + b"=") for name in names]
        return [
            router.random.sample(pairs, len(pairs)) for _ in range(SHUFFLES)
        ]

    def _next_id(self, row: Row) -> str:
        ids = list(self.table.rows)
        at = ids.index(row.id) + 1
        return ids[at] if at < len(ids) else "*FFFFFFFF"

    def value(self, row: Row, name: str) -> str | None:
        """Return the text that a reply shows of a property; None when the row
        has it not.
        """
        shown = self.special.get(name)
        return row.values.get(name) if shown is None else shown(row)

    def selects(self, row: Row) -> bool:
        """Return whether the queries keep the row."""
        return self.test is None or self.test(
            lambda name: self.value(row, name)
        )

    def rows(self) -> Iterator[Row]:
        """Return the selected rows in the table's order."""
        wanted = self.call.arguments.get("from")
        rows = [
            row
            for row in self.table.rows.values()
            if wanted is None or row.id in wanted.split(",")
        ]
        test = self.test
        if test is None:
            yield from rows
        elif self.equality is not None:
            name, wanted_value = self.equality
            yield from [
                row for row in rows if row.values.get(name) == wanted_value
            ]
        elif not self.special.keys().isdisjoint(
            queried_names(self.call.queries)
        ):
            for row in rows:
                if test(lambda name, row=row: self.value(row, name)):  # type: ignore[misc]
                    yield row
        else:
            for row in rows:
                if test(row.values.get):
                    yield row

    def sentence(self, row: Row) -> bytes:
        """Return the row as an encoded `!re`."""
        self._turn = (self._turn + 1) % SHUFFLES
        special, values = self.special, row.values
        parts = [b"\x03!re"]
        tag = b"" if self.call.tag is None else b".tag=" + self.call.tag
        front = self.call.router.options.tag_position == "front"
        if tag and front:
            parts += (encode_length(len(tag)), tag)
        for name, start in self.orders[self._turn]:
            text = special[name](row) if name in special else values.get(name)
            if text is not None:
                word = start + text.encode("utf-8", "surrogateescape")
                parts += (encode_length(len(word)), word)
        if tag and not front:
            parts += (encode_length(len(tag)), tag)
        parts.append(b"\x00")
        return b"".join(parts)

    def shown(self, row: Row) -> dict[str, str]:
        """Return the row as a mapping."""
        values = ((name, self.value(row, name)) for name, _ in self.orders[0])
        return {name: value for name, value in values if value is not None}


def _check_arguments(call: Call) -> None:
    allowed = SINGLETON_FLAGS if call.table.menu.singleton else FLAGS
    for name in call.arguments:
        if name not in allowed and name != ".proplist":
            raise unknown_parameter(name)


def show(call: Call) -> None:
    """`print` and `getall`."""
    _check_arguments(call)
    view = View(call)
    if "count-only" in call.arguments:
        call.done(str(sum(1 for _ in view.rows())))
        return
    if "follow-only" in call.arguments:
        _follow(call, view)
        return
    rows: Sequence[Row] = list(view.rows())
    call.out += [view.sentence(row) for row in rows]
    if "follow" in call.arguments:
        _follow(call, view)
    elif "interval" in call.arguments:
        _repeat(call, view)
    else:
        if not rows and call.router.version >= (7, 18):
            call.out.append(call.sentence("!empty"))
        call.done()


def listen(call: Call) -> None:
    """`listen`: each addition and change as a full row, each removal as `.id`
    and `.dead`.
    """
    _check_arguments(call)
    _follow(call, View(call))


def _follow(call: Call, view: View) -> None:
    def tell(event: Event, row: Row) -> None:
        if event == "remove":
            if row.id in seen or view.selects(row):
                call.emit(
                    call.sentence("!re", f"=.id={row.id}", "=.dead=true")
                )
            seen.discard(row.id)
        elif view.selects(row):
            seen.add(row.id)
            call.emit(view.sentence(row))

    seen = {row.id for row in view.rows()}
    call.stop = call.table.subscribe(tell)


def _repeat(call: Call, view: View) -> None:
    seconds = max(0.1, parse_duration(call.arguments["interval"]))
    loop = asyncio.get_running_loop()
    timer: list[asyncio.TimerHandle] = []

    def again() -> None:
        for row in view.rows():
            call.emit(view.sentence(row))
        timer[:] = [loop.call_later(seconds, again)]

    timer.append(loop.call_later(seconds, again))
    call.stop = lambda: timer[0].cancel()  # noqa: PLW0108 - the timer is another one each time
