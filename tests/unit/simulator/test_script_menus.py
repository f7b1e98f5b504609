"""What scripts do in the menus of a router. Nothing is faked."""

import pytest

from simulator.options import RouterOptions
from simulator.rights import ROOT, Rights
from simulator.router import Router

BINDINGS = "/ip/hotspot/ip-binding"
READ = Rights("reader", frozenset({"read"}))


def put(router: Router, source: str, rights: Rights = ROOT) -> list[str]:
    """Return what a script puts; it must come to its end."""
    job = router.scripts.run(source, rights, "test")
    assert (job.error, job.done) == (None, True)
    return job.output


def error(router: Router, source: str, rights: Rights = ROOT) -> str:
    """Return what stops a script."""
    job = router.scripts.run(source, rights, "test")
    assert job.error is not None
    return job.error


@pytest.fixture
def filled(router: Router) -> Router:
    """Three bindings: mine and blocked, mine, somebody's without comment."""
    put(
        router,
        """
        /ip hotspot ip-binding
        add mac-address=AA:BB:CC:00:00:01 type=blocked comment="mine 1"
        add mac-address=aa:bb:cc:00:00:02 type=bypassed comment="mine 2"
        /ip/hotspot/ip-binding/add mac-address=AA:BB:CC:00:00:03 disabled=yes
        """,
    )
    return router


WHERE = {
    "": "*1;*2;*3",
    'where comment~"^mine"': "*1;*2",
    'where comment~"^mine" && type=blocked': "*1",
    'where comment~"^mine" and type!=blocked': "*2",
    "type=bypassed": "*2",
    'type=blocked comment="mine 1"': "*1",
    "disabled=yes": "*3",
    "where disabled": "*3",
    "where !disabled": "*1;*2",
    "where !comment": "*3",
    'where comment=""': "*3",
    'where (type=blocked || type=bypassed) && comment~"2"': "*2",
    'mac-address="aa:bb:cc:00:00:02"': "*2",
    "where .id=*3": "*3",
    "where mac-address=AA:BB:CC:00:00:09": "",
}


@pytest.mark.parametrize(("condition", "ids"), WHERE.items())
def test_find(filled: Router, condition: str, ids: str) -> None:
    for path in ("/ip/hotspot/ip-binding/", "/ip hotspot ip-binding "):
        assert put(filled, f":put [{path}find {condition}]") == [ids]


def test_a_variable_named_as_a_property_is_the_property(
    filled: Router,
) -> None:
    """The manual: with such a name every row matches."""
    source = ":local type blocked; :put [:len [{}find type=$type]]"
    assert put(filled, source.format("/ip hotspot ip-binding ")) == ["3"]
    source = ":local kind blocked; :put [:len [{}find type=$kind]]"
    assert put(filled, source.format("/ip hotspot ip-binding ")) == ["1"]


def test_get_gives_values_with_types(filled: Router) -> None:
    source = """
        /ip hotspot ip-binding
        :put [get *1 comment]
        :put [:typeof [get *3 comment]]
        :put [:typeof [get *3 disabled]]
        :put [get [find type=blocked] mac-address]
        :put ([get *1]->"type")
        /ip firewall address-list add list=a address=10.0.0.1 timeout=1h
        :put [:typeof [/ip firewall address-list get *1 timeout]]
        :put [:typeof [/ip firewall address-list get *1 address]]
        :put [:typeof [/system clock get time]]
        :put [/system clock get gmt-offset]
        :put [/system ntp client get status]
    """
    texts = ["mine 1", "nil", "bool", "AA:BB:CC:00:00:01", "blocked"]
    types = ["time", "ip", "time"]
    assert put(filled, source) == [*texts, *types, "0", "stopped"]


def test_count_only(filled: Router) -> None:
    source = ':put [/ip hotspot ip-binding print count-only where comment~"m"]'
    assert put(filled, source) == ["2"]


def test_rows_change(filled: Router) -> None:
    put(
        filled,
        """
        /ip hotspot ip-binding
        set [find comment~"mine"] comment=changed
        set *3 !disabled type=regular
        disable *1
        move *3 *1
        :local new [add mac-address=AA:BB:CC:00:00:04 comment=(1 . "x")]
        remove *2
        enable [find where comment="nobody"]
        :put $new
        """,
    )
    rows = filled.show(BINDINGS)
    assert [row[".id"] for row in rows] == ["*3", "*1", "*4"]
    assert rows[1]["comment"] == "changed"
    assert rows[1]["disabled"] == "true"
    assert rows[0]["disabled"] == "false"
    assert rows[2]["comment"] == "1x"


def test_a_removed_host_comes_back_without_its_binding(router: Router) -> None:
    """Scripts act on clients as the API does."""
    mac = "AA:BB:CC:00:00:01"
    router.network.move_in(mac, "10.5.50.9")
    put(router, f"{BINDINGS}/add mac-address={mac} type=bypassed")
    assert router.network.packet(mac).forwarded
    put(
        router,
        f'{BINDINGS}/remove [find mac-address="{mac}"]\n'
        f'/ip hotspot host remove [find mac-address="{mac}"]',
    )
    assert not router.network.packet(mac).forwarded


WRONG = {
    "remove *99": "no such item",
    "get *99 type": "no such item",
    "get [find] type": "no such item",
    "get [find comment=none] type": "no such item",
    "get 0 type": "no such item",
    'get *1 "frob"': "input does not match any value of value-name",
    "add mac-address=AA:BB:CC:00:00:01": "failure: such client already exists",
    "set *1 type=frob": "input does not match any value of type",
    "remove": "expected item number",
    'find where comment<"x"': "cannot compare",
}


@pytest.mark.parametrize(("command", "text"), WRONG.items())
def test_refused(filled: Router, command: str, text: str) -> None:
    refusal = error(filled, f"/ip hotspot ip-binding\n:put [{command}]")
    assert text in refusal
    assert "line 2" in refusal


def test_rows_before_the_one_that_is_gone_are_removed(filled: Router) -> None:
    assert "no such item" in error(filled, f"{BINDINGS}/remove (*1,*9,*2)")
    assert [row[".id"] for row in filled.show(BINDINGS)] == ["*2", "*3"]


def test_the_policy_limits_a_script(filled: Router) -> None:
    assert put(filled, f":put [:len [{BINDINGS}/find]]", READ) == ["3"]
    refusal = error(filled, f"{BINDINGS}/remove [find]", READ)
    assert "not enough permissions (9)" in refusal
    nothing = Rights("nobody", frozenset())
    assert "not enough permissions (9)" in error(
        filled, f"{BINDINGS}/find", nothing
    )


def test_a_script_runs_another(router: Router) -> None:
    put(router, '/system script add name=a policy=read source=":put inner"')
    assert put(router, "/system script run a; :put outer", READ) == [
        "inner",
        "outer",
    ]
    assert router.show("/system/script")[0]["run-count"] == "1"
    assert "no such item" in error(router, "/system script run b")


def test_a_script_needs_the_rights_of_its_caller(router: Router) -> None:
    put(router, '/system script add name=a policy=read,write source=":put 1"')
    refusal = error(router, "/system script run a", READ)
    assert "not enough permissions (9)" in refusal
    put(router, "/system script set a dont-require-permissions=yes")
    assert put(router, "/system script run a", READ) == ["1"]


def test_a_script_may_not_have_more_rights_than_its_maker(
    router: Router,
) -> None:
    maker = Rights("maker", frozenset({"read", "write"}))
    add = "/system script add name={} policy={}"
    put(router, add.format("a", "read"), maker)
    assert router.show("/system/script")[0]["owner"] == "maker"
    refusal = error(router, add.format("b", "read,reboot"), maker)
    assert "not enough permissions (9)" in refusal


def test_a_script_that_runs_itself_is_stopped(router: Router) -> None:
    source = "/system script run a"
    put(router, f'/system script add name=a source="{source}"')
    assert "too deep" in error(router, source)


def test_the_log(router: Router) -> None:
    put(router, ':log info "one"; /log warning message=two; /log/error three')
    shown = [(row["topics"], row["message"]) for row in router.show("/log")]
    assert shown == [
        ("script,info", "one"),
        ("script,warning", "two"),
        ("script,error", "three"),
    ]


def test_a_delay_waits_for_the_clock(router: Router) -> None:
    job = router.scripts.run(":delay 5s; :put late", ROOT, "test")
    assert (job.done, job.output) == (False, [])
    router.clock.advance(5)
    router.settle()
    assert (job.done, job.output) == (True, ["late"])


def test_dates_have_the_form_of_the_version() -> None:
    for version, pattern in (
        ("7.9", "^[a-z]{3}/[0-9]{2}/[0-9]{4}\\$"),
        ("7.10", "^[0-9]{4}-[0-9]{2}-[0-9]{2}\\$"),
    ):
        router = Router(RouterOptions("r1", version=version))
        plain = pattern.replace("{3}", "+").replace("{2}", "+")
        plain = plain.replace("{4}", "+")
        source = f':put ([/system clock get date] ~ "{plain}")'
        assert put(router, source) == ["true"]


def test_a_time_zone_moves_the_clock(router: Router) -> None:
    source = """
        /system clock set time-zone-name=America/Sao_Paulo
        :put [/system clock get gmt-offset]
    """
    assert put(router, source) == ["-10800"]
    assert router.show("/system/clock")[0]["gmt-offset"] == "-03:00"
    wrong = "/system clock set time-zone-name=Mars/Base"
    assert "input does not match any value" in error(router, wrong)
