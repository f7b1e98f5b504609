"""The language of scripts, by MikroTik's scripting manual. Nothing is faked."""

import pytest

from simulator.rights import ROOT
from simulator.router import Router
from simulator.script.patterns import compile_pattern
from simulator.script.values import ScriptError


def put(router: Router, source: str) -> list[str]:
    """Return what a script puts; it must come to its end."""
    job = router.scripts.run(source, ROOT, "test")
    assert (job.error, job.done) == (None, True)
    return job.output


def error(router: Router, source: str) -> str:
    """Return what stops a script."""
    job = router.scripts.run(source, ROOT, "test")
    assert job.error is not None
    return job.error


VALUES = {
    # numbers
    "(3+4)": "7",
    "(10 - 2 * 3)": "4",
    "(10 / 3)": "3",
    "(-7 / 2)": "-3",
    "(7 % 2)": "1",
    "0xFF": "255",
    "(3<4)": "true",
    "(3>=4)": "false",
    "(8>>2)": "2",
    "(6 & 3)": "2",
    # truth
    "(true && false)": "false",
    "(true and true)": "true",
    "(false || true)": "true",
    "(!true)": "false",
    "(false or 1=1)": "true",
    # text
    '("con" . "cat" . 1)': "concat1",
    '"\\48\\45\\4C\\4C\\4F\\_\\"\\$a\\\\"': 'HELLO "$a\\',
    '("a"="a")': "true",
    '[:len "length=8"]': "8",
    '[:pick "abcde" 1 3]': "bc",
    '[:pick "abcde" 4]': "e",
    '[:find "abc" "a" -1]': "0",
    '[:find "abcabc" "a" 0]': "3",
    '[:typeof [:find "abc" "x"]]': "nil",
    '("a=1" ~ "^[a-z]=[[:digit:]]+\\$")': "true",
    '("route 192.168.1.202" ~ "[0-9\\\\.]*202")': "true",
    '("A" ~ "a")': "false",
    # time
    "(1m + 30s)": "00:01:30",
    "(1d2h - 1h)": "1d01:00:00",
    "(00:00:10 < 1m)": "true",
    "[:totime 3600]": "01:00:00",
    "[:tonum 1h]": "3600",
    "[:totime 691200]": "1w1d00:00:00",
    # addresses
    "(1.1.1.1 in 1.0.0.0/8)": "true",
    "(10.0.0.1 + 5)": "10.0.0.6",
    "(10.0.0.9 - 10.0.0.1)": "8",
    '[:toip "10.0.0.1"]': "10.0.0.1",
    '[:typeof [:toip "nowhere"]]': "nil",
    # types
    "[:typeof 4]": "num",
    "[:typeof text]": "str",
    "[:typeof true]": "bool",
    "[:typeof 1m]": "time",
    "[:typeof 10.0.0.1]": "ip",
    "[:typeof 10.0.0.0/8]": "ip-prefix",
    "[:typeof *1F]": "id",
    "[:typeof {1;2}]": "array",
    # conversions
    '[:tonum "08"]': "8",
    '[:typeof [:tonum "8x"]]': "nil",
    '[:tobool "yes"]': "true",
    "[:tostr 1.2.3.4]": "1.2.3.4",
    '[:len [:toarray "1,2,3"]]': "3",
    # arrays
    "[:len {1;2;3}]": "3",
    '({a=1;b=2}->"b")': "2",
    "({5;6;7}->1)": "6",
    '[:typeof ({a=1}->"c")]': "nil",
    "[:len (1,2,3)]": "3",
    "[:pick {5;6;7} 1]": "6",
    "[:find {5;6;7} 7]": "2",
}


@pytest.mark.parametrize(("source", "value"), VALUES.items())
def test_values(router: Router, source: str, value: str) -> None:
    assert put(router, f":put {source}") == [value]


def test_a_variable_without_a_value_is_nothing(router: Router) -> None:
    source = ":local a; :put [:typeof $a]; :set a 5; :put [:typeof $a]"
    assert put(router, source) == ["nothing", "num"]


def test_a_string_takes_values_in(router: Router) -> None:
    source = """
        :local a 5
        :put "a=$a, double=$($a * 2), name=$[/system identity get name]"
    """
    assert put(router, source) == ["a=5, double=10, name=MikroTik"]


def test_comments_and_joined_lines(router: Router) -> None:
    source = (
        '# a comment; :put "no"\r\n:put "a # b"; # another\n'
        ":put (1 + \\\n   2)\n"
        ':put "joined \\\n    text"'
    )
    assert put(router, source) == ["a # b", "3", "joined text"]


def test_a_block_has_variables_of_its_own(router: Router) -> None:
    source = """
        :local a 1
        { :local a 2; :local b 3; :put $a }
        :if (true) do={ :set a 4 }
        :put $a
    """
    assert put(router, source) == ["2", "4"]
    source = "{ :local b 3 }\n:put $b"
    assert "undefined variable b" in error(router, source)


def test_a_global_variable_is_there_for_the_next_script(
    router: Router,
) -> None:
    put(router, ":global kept 5")
    assert put(router, ":global kept; :put $kept") == ["5"]
    router.scripts.forget()
    source = ":global kept; :put [:typeof $kept]"
    assert put(router, source) == ["nothing"]


def test_conditions_and_loops(router: Router) -> None:
    source = """
        :for i from=1 to=3 do={ :put $i }
        :for i from=4 to=0 step=-2 do={ :put $i }
        :foreach item in={"x";"y"} do={ :put $item }
        :foreach k,v in={a=1;b=2} do={ :put "$k-$v" }
        :local n 0
        :while ($n < 2) do={ :set n ($n + 1); :put "n$n" }
        :do { :set n ($n + 1) } while=($n < 5)
        :if ($n = 5) do={ :put yes } else={ :put no }
    """
    numbers = ["1", "2", "3", "4", "2", "0"]
    rest = ["x", "y", "a-1", "b-2", "n1", "n2", "yes"]
    assert put(router, source) == numbers + rest


def test_an_array_changes_by_its_keys(router: Router) -> None:
    source = """
        :local a {x=1}
        :local b $a
        :set ($a->"y") 2
        :put [:len $a]
        :put [:len $b]
    """
    assert put(router, source) == ["2", "1"]


def test_an_error_is_caught(router: Router) -> None:
    source = """
        :do { :put before; :error "broken"; :put never } on-error={ :put saved }
        :put after
    """
    assert put(router, source) == ["before", "saved", "after"]


def test_a_return_ends_a_script_in_order(router: Router) -> None:
    assert put(router, ":put 1; :if (true) do={ :return 5 }; :put 2") == ["1"]


def test_what_a_script_did_before_its_error_stays(router: Router) -> None:
    source = """
        /system identity set name=first
        :error "stop here"
        /system identity set name=second
    """
    assert error(router, source) == "stop here"
    assert router.show("/system/identity")[0]["name"] == "first"
    assert "stop here" in router.show("/log")[-1]["message"]


def test_a_script_that_cannot_be_read_does_nothing(router: Router) -> None:
    source = "/system identity set name=first\n/system identity frob"
    assert error(router, source) == "bad command name frob (line 2 column 18)"
    assert router.show("/system/identity")[0]["name"] == "MikroTik"


REFUSED = {
    ':put ("a" < "b")': "cannot compare if string is less than string",
    ':put (1 = "1")': "cannot compare if number is equal to string",
    ":put (1m > 5)": "cannot compare if time is more than number",
    ':put ("1" + 1)': "cannot do string + number",
    ":put (1m + 5)": "cannot do time + number",
    ":put (5 / 0)": "division by zero",
    ":if (5) do={ :put 1 }": "conditional not boolean",
    ':put ("a" ~ "a{2}")': "bad regexp",
    ':put ("a" ~ "\\\\d")': "bad regexp",
    ':put ("a" ~ "(")': "bad regexp",
    ":put $unknown": "undefined variable",
    ":set unknown 5": "undefined variable",
    ":frob 1": "bad command name frob",
    "put 1": "bad command name put",
    ":put 1 2": "expected end of command",
    ':put "open': 'expected "',
    ':put "\\q"': "unknown escape",
    ":if (true) do={ :put 1": "expected }",
    ":put (1 + 2": "expected )",
    ":put (true && true || false)": "needs ()",
    ":put (1 . 2 + 3)": "needs ()",
    ":put 1 # no comment": "expected end of command",
    ":local a-b 5": "expected end of command",
    "/ip/frob/print": "bad command name frob",
    "/ip hotspot ip-binding add nix=1": "expected end of command",
    "/ip hotspot ip-binding find nix=1": "no property nix",
    "/system identity find": "bad command name find",
    ":delay x": "invalid value",
    ":local f do={ :put 1 }": "functions are not in the simulator",
}


@pytest.mark.parametrize(("source", "text"), REFUSED.items())
def test_refused(router: Router, source: str, text: str) -> None:
    assert text in error(router, source)


PATTERNS = {
    "^cerebro:": ("cerebro:1", "x cerebro:1"),
    "a.c$": ("abc", "abcd"),
    "^(a|b)+$": ("abba", "abc"),
    "[[:digit:]]+-[^a-z]": ("12-X", "12-x"),
    "[]x]": ("]", "y"),
    "[a\\]": ("\\", "b"),
    "1\\.2": ("1.2", "1x2"),
    "^a?b*$": ("bb", "aab"),
}


@pytest.mark.parametrize(("pattern", "texts"), PATTERNS.items())
def test_patterns(pattern: str, texts: tuple[str, str]) -> None:
    """An expression matches the first text, not the second."""
    compiled = compile_pattern(pattern)
    assert compiled.search(texts[0])
    assert not compiled.search(texts[1])


@pytest.mark.parametrize(
    "pattern",
    ["a{2}", "()", "(?:a)", "\\d", "a**", "*a", "[a", "[[:frob:]]", "[[.a.]]"],
)
def test_patterns_that_are_not_posix_are_refused(pattern: str) -> None:
    with pytest.raises(ScriptError, match="bad regexp"):
        compile_pattern(pattern)


def test_numbers_have_64_bits(router: Router) -> None:
    source = ":put (9223372036854775807 + 1)"
    assert put(router, source) == ["-9223372036854775808"]


def test_a_text_that_grows_without_end_is_stopped(router: Router) -> None:
    source = ':local s "x"; :while (true) do={ :set s ($s . $s) }'
    assert "stopped by the simulator" in error(router, source)


def test_a_loop_without_end_is_stopped(router: Router) -> None:
    assert "endless loop" in error(router, ":while (true) do={}")


def test_deep_nesting_is_refused(router: Router) -> None:
    assert "too deep" in error(router, ":put " + "(" * 500 + ")" * 500)


def test_the_version_decides_what_there_is(router: Router) -> None:
    assert put(router, ":put [:typeof [:timestamp]]") == ["time"]
    router.version = (7, 6)
    assert "bad command name" in error(router, ":put [:timestamp]")
