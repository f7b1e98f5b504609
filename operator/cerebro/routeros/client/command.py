"""A command for a router and its reply, as plain values. No I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Row = dict[str, str]

Observe = Callable[[str, float, bool], None]
"""Takes a command's word, the seconds until its end or until it was given up,
and whether the router did it.
"""

# These only read, may run long, and `/cancel` stops them without harm; every
# other verb counts as a write.
_READING = frozenset({"print", "getall", "ping", "monitor"})


@dataclass(frozen=True, slots=True)
class Command:
    """One sentence to be sent: `Command("/ip/arp", "print", {".proplist":
    ".id"}, ("?disabled=false",))`.

    Values are text as the router takes it (`yes`, `1h`, UTF-8; surrogateescape
    for other bytes). `=!name=` of the protocol is the attribute `!name` with
    an empty value. Raises ValueError for what is no such sentence.
    """

    path: str
    verb: str
    attributes: Mapping[str, str] = field(
        default_factory=dict, repr=False
    )  # may hold passwords
    queries: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or not self.verb or "/" in self.verb:
            raise ValueError(
                f"command {self.path!r} {self.verb!r}: a path starts with /, a verb is one word"
            )

        for name in self.attributes:
            if not name or "=" in name:
                raise ValueError(f"{self.word}: {name!r} is no attribute name")

        for query in self.queries:
            if not query.startswith("?"):
                raise ValueError(
                    f"{self.word}: query word {query!r} does not start with ?"
                )

    @property
    def word(self) -> str:
        """The command word, e.g. `/ip/arp/print`; names the command in
        messages.
        """
        return f"{self.path.rstrip('/')}/{self.verb}"

    @property
    def reads(self) -> bool:
        """Whether it changes nothing, so that it may be cancelled and
        repeated.
        """
        return self.verb in _READING

    def words(self) -> list[str]:
        """All words, without the tag."""
        return [
            self.word,
            *(f"={name}={value}" for name, value in self.attributes.items()),
            *self.queries,
        ]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: rows as the router wrote them (all text, absent
    properties absent) and `=ret=`.
    """

    rows: list[Row]
    ret: str | None = None
