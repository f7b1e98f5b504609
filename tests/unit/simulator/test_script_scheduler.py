"""When schedulers run. Nothing is faked; the clock is pushed."""

from datetime import timedelta

import pytest

from simulator.control_server import act
from simulator.errors import Trap
from simulator.options import RouterOptions
from simulator.rights import ROOT
from simulator.router import Router

PATH = "/system/scheduler"


def schedule(router: Router, event: str, **values: str) -> str:
    """Add a scheduler, as a person at the router would; return its id."""
    names = {name.replace("_", "-"): text for name, text in values.items()}
    arguments = {"name": "task", "on-event": event} | names
    return act(router, PATH, "add", arguments)


def advance(router: Router, seconds: float) -> None:
    router.clock.advance(seconds)
    router.settle()


def messages(router: Router) -> list[str]:
    return [row["message"] for row in router.show("/log")]


def shown(router: Router) -> dict[str, str]:
    (row,) = router.show(PATH)
    return row


def at(router: Router, seconds: int) -> dict[str, str]:
    """Return the start that lies so many seconds from now."""
    moment = router.clock.local() + timedelta(seconds=seconds)
    day = moment.strftime(router.clock.date_format).lower()
    return {
        "start_date": day,
        "start_time": moment.strftime("%H:%M:%S"),
    }


def test_an_interval_runs_again_and_again(router: Router) -> None:
    schedule(router, ":log info tick", interval="1m")
    assert messages(router) == []
    for turn in range(1, 4):
        advance(router, 60)
        assert messages(router) == ["tick"] * turn
    assert shown(router)["run-count"] == "3"
    advance(router, 30)
    assert shown(router)["run-count"] == "3"


def test_a_jump_over_several_turns_runs_once(router: Router) -> None:
    schedule(router, ":log info tick", interval="1m")
    advance(router, 600)
    assert messages(router) == ["tick"]
    advance(router, 60)
    assert messages(router) == ["tick"] * 2


def test_a_scheduler_shows_its_owner_and_its_start(router: Router) -> None:
    schedule(router, "", interval="1m")
    row = shown(router)
    assert row["owner"] == "admin"
    assert row["start-date"] == router.clock.date_text()
    assert row["next-run"] > router.clock.stamp()


def test_without_an_interval_it_runs_once(router: Router) -> None:
    schedule(router, ":log info once", **at(router, 100))
    assert "next-run" in shown(router)
    advance(router, 90)
    assert messages(router) == []
    advance(router, 11)
    assert messages(router) == ["once"]
    assert "next-run" not in shown(router)
    advance(router, 86400)
    assert messages(router) == ["once"]


def test_a_start_in_the_past_without_an_interval_never_runs(
    router: Router,
) -> None:
    """Reference 4.16."""
    schedule(router, ":log info once", **at(router, -5))
    assert "next-run" not in shown(router)
    advance(router, 90000)
    assert messages(router) == []


def test_an_interval_counts_from_its_start(router: Router) -> None:
    schedule(router, ":log info tick", interval="1h", **at(router, -1800))
    advance(router, 1790)
    assert messages(router) == []
    advance(router, 11)
    assert messages(router) == ["tick"]


def test_startup_runs_behind_each_boot(router: Router) -> None:
    advance(router, 10)
    schedule(router, ":log info booted", start_time="startup")
    advance(router, 100)
    assert messages(router) == []
    router.scripts.boot()
    assert messages(router) == []
    advance(router, 3)
    assert messages(router) == ["booted"]
    advance(router, 1000)
    assert shown(router)["run-count"] == "1"


def test_startup_with_an_interval_waits_for_it(router: Router) -> None:
    """The manual: with an interval it does not run at startup."""
    schedule(router, ":log info tick", start_time="startup", interval="1m")
    router.scripts.boot()
    advance(router, 5)
    assert messages(router) == []
    advance(router, 60)
    assert messages(router) == ["tick"]


def test_a_disabled_one_does_not_run(router: Router) -> None:
    row = schedule(router, ":log info tick", interval="1m", disabled="yes")
    advance(router, 120)
    assert messages(router) == []
    act(router, PATH, "enable", {".id": row})
    advance(router, 60)
    assert messages(router) == ["tick"]
    act(router, PATH, "disable", {".id": row})
    advance(router, 60)
    assert messages(router) == ["tick"]


def test_an_event_may_be_the_name_of_a_script(router: Router) -> None:
    source = {"name": "job", "source": ":log info named"}
    act(router, "/system/script", "add", source)
    schedule(router, "job", interval="1m")
    advance(router, 60)
    assert messages(router) == ["named"]
    act(router, "/system/script", "remove", {".id": "job"})
    advance(router, 60)
    assert "bad command name job" in messages(router)[-1]


def test_an_error_is_in_the_log(router: Router) -> None:
    schedule(router, ":log info a; /user remove *99", interval="1m")
    advance(router, 60)
    first, failed, why = router.show("/log")
    assert first["message"] == "a"
    assert failed["topics"] == "script,error"
    assert "task" in failed["message"]
    assert "no such item" in why["message"]


def test_the_policy_of_a_scheduler_limits_it(router: Router) -> None:
    event = "/system identity set name=changed"
    schedule(router, event, interval="1m", policy="read")
    advance(router, 60)
    assert "not enough permissions (9)" in messages(router)[-1]
    assert router.show("/system/identity")[0]["name"] == "MikroTik"
    act(router, PATH, "set", {".id": "task", "policy": "read,write"})
    advance(router, 60)
    assert router.show("/system/identity")[0]["name"] == "changed"


def test_an_undo_removes_itself(router: Router) -> None:
    event = (
        "/system scheduler remove [find name=task]\r\n"
        "/system identity set name=before"
    )
    schedule(router, event, interval="5m")
    act(router, "/system/identity", "set", {"name": "after"})
    advance(router, 300)
    assert router.show("/system/identity")[0]["name"] == "before"
    assert router.show(PATH) == []


def test_several_run_in_the_order_of_the_menu(router: Router) -> None:
    schedule(router, ":log info a", interval="1m", name="a")
    schedule(router, ":log info b", interval="1m", name="b")
    act(router, PATH, "move", {"numbers": "b", "destination": "a"})
    advance(router, 60)
    assert messages(router) == ["b", "a"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("start_time", "25:00:00"),
        ("start_time", "noon"),
        ("start_date", "29.11.2026"),
        ("interval", "often"),
        ("policy", "everything"),
    ],
)
def test_wrong_values_are_refused(
    router: Router, name: str, text: str
) -> None:
    with pytest.raises(Trap):
        schedule(router, "", **{name: text})


def test_dates_have_the_form_of_the_version() -> None:
    router = Router(RouterOptions("r1", version="7.9"))
    router.up = True
    schedule(router, ":log info once", **at(router, 100))
    assert "/" in shown(router)["start-date"]
    advance(router, 101)
    assert messages(router) == ["once"]


def test_a_clock_that_was_lost_begins_at_1970(router: Router) -> None:
    """Reference 4.16 and 5.6: schedulers with dates wait for the date."""
    schedule(router, ":log info dated", interval="1m", **at(router, -60))
    act(router, "/system/ntp/client", "set", {"enabled": "yes"})
    router.clock.lose()
    router.scripts.boot()
    job = router.scripts.run(
        ":put [/system clock get date]; :put [:tonum [:timestamp]]"
        "; :put [/system ntp client get status]",
        ROOT,
    )
    date, seconds, status = job.output
    assert (date, status) == ("1970-01-01", "waiting")
    assert int(seconds) < 3600
    advance(router, 600)
    assert messages(router) == []
    router.set_clock()
    advance(router, 60)
    assert messages(router) == ["dated"]
    assert router.show("/system/ntp/client")[0]["status"] == "synchronized"


def test_a_date_missed_without_a_clock_is_not_made_up_for(
    router: Router,
) -> None:
    schedule(router, ":log info once", **at(router, 60))
    router.clock.lose()
    router.scripts.boot()
    advance(router, 120)
    router.set_clock()
    advance(router, 60)
    assert messages(router) == []


def test_nothing_runs_while_the_router_is_down(router: Router) -> None:
    schedule(router, ":log info tick", interval="1m")
    router.up = False
    advance(router, 60)
    assert messages(router) == []


def test_device_mode_keeps_schedulers_from_running(router: Router) -> None:
    """Point 43. Those that are there already."""
    schedule(router, ":log info tick", interval="1m")
    router.options.device_mode_scheduler = False
    advance(router, 60)
    assert messages(router) == []


def test_a_wrong_date_shows_and_no_time_passes(router: Router) -> None:
    schedule(router, ":log info tick", interval="1m")
    source = ":put [:tonum [:timestamp]]"
    (before,) = router.scripts.run(source, ROOT).output
    router.shift_clock(-7200)
    (behind,) = router.scripts.run(source, ROOT).output
    assert 7190 < int(before) - int(behind) <= 7200
    advance(router, 0)
    assert messages(router) == []
    router.set_clock()
    (right,) = router.scripts.run(source, ROOT).output
    assert int(right) >= int(before)


def test_a_scheduler_needs_the_rights_of_its_script(router: Router) -> None:
    script = {"name": "job", "source": ":log info run", "policy": "read,write"}
    act(router, "/system/script", "add", script)
    schedule(router, "job", interval="1m", policy="read")
    advance(router, 60)
    assert "not enough permissions (9)" in messages(router)[-1]
    free = {".id": "job", "dont-require-permissions": "yes"}
    act(router, "/system/script", "set", free)
    advance(router, 60)
    assert messages(router)[-1] == "run"
