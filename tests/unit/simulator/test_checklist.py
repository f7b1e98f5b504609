"""Each point of the checklist of a simulated router has a test that names it.

The list is part 8 of the project's notes on the RouterOS API, here in short.
"""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
FOLDERS = (TESTS / "unit/simulator", TESTS / "integration/simulator")

POINTS = (
    "five length ranges; undefined control bytes close",
    "empty sentences are ignored",
    "login, and a wrong one behind which the connection is usable",
    "login by challenge, as before 6.43",
    "a command before login is fatal",
    "quit",
    "tags on every sentence, in front or at the end",
    "tagged commands interleave and overtake each other",
    "commands without tags are answered without",
    "cancel of one command and of all",
    "!empty from 7.18 on",
    "unknown menus and verbs",
    "categories of traps",
    "proplist",
    "attributes in a shuffled order",
    "query words",
    "booleans in queries and replies",
    "queries on absent properties",
    "count-only",
    "listen",
    "add returns an id that is not used again",
    "ids, lists of ids and names as targets",
    "texts of wrong and missing arguments",
    "read-only properties; references and their removed targets",
    "place-before and move",
    "unset, negated arguments, empty comments",
    "defaults that are returned, and those that are not",
    "normal forms of values",
    "duplicates in an address list",
    "timeouts in an address list",
    "duplicates and order of bindings",
    "a binding acts on hosts made after it",
    "removed sessions and cookies",
    "hotspot logins and their refusals",
    "removed and idle hosts",
    "what a reboot loses and keeps",
    "keys and traffic of peers",
    "masked secrets",
    "policies",
    "the number of sessions; rows of connections",
    "latency, cost, stalls, drops, silence",
    "bytes that are no text",
    "device-mode",
    "missing packages",
    "safe mode",
    "singletons",
    "extra keys in rows",
    "TLS",
)


def named_points() -> set[int]:
    """Return the points that the docstrings of tests begin with."""
    points: set[int] = set()
    paths = (path for folder in FOLDERS for path in folder.glob("test_*.py"))
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            text = ast.get_docstring(node) or ""
            match = re.match(r"Points? ([\d, ]+)", text)
            if match is not None and node.name.startswith("test_"):
                points |= {int(number) for number in match[1].split(",")}
    return points


def test_each_point_of_the_checklist_is_named_by_a_test() -> None:
    named = named_points()
    nameless = [
        f"{number}: {text}"
        for number, text in enumerate(POINTS, start=1)
        if number not in named
    ]
    assert nameless == []
    assert named == set(range(1, len(POINTS) + 1))
