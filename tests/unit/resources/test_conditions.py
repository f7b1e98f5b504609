"""Setting and finding conditions. Pure; nothing is faked."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cerebro.resources import Condition, find_condition, set_condition

NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)

CONDITIONS = st.builds(
    Condition,
    type=st.sampled_from(["Ready", "Enforced", "Reachable"]),
    status=st.sampled_from(["True", "False", "Unknown"]),
    reason=st.sampled_from(["Granted", "Pending"]),
    message=st.text(max_size=10),
)


def test_a_new_condition_gets_the_time_and_the_others_stay() -> None:
    first = set_condition(
        [], Condition(type="Ready", status="True", reason="Granted"), NOW
    )
    both = set_condition(
        first,
        Condition(type="Enforced", status="True", reason="Granted"),
        LATER,
    )
    assert [(item.type, item.last_transition_time) for item in both] == [
        ("Ready", NOW),
        ("Enforced", LATER),
    ]


def test_the_transition_time_changes_with_the_status_only() -> None:
    before = set_condition(
        [], Condition(type="Ready", status="False", reason="Pending"), NOW
    )
    reworded = set_condition(
        before,
        Condition(type="Ready", status="False", reason="RouterAway"),
        LATER,
    )
    assert (reworded[0].reason, reworded[0].last_transition_time) == (
        "RouterAway",
        NOW,
    )
    turned = set_condition(
        reworded,
        Condition(type="Ready", status="True", reason="Granted"),
        LATER,
    )
    assert turned[0].last_transition_time == LATER
    assert before[0].reason == "Pending", "what was given is not changed"


def test_finding_one_that_nobody_set_gives_none() -> None:
    assert find_condition([], "Ready") is None


def test_a_message_is_cut_to_what_the_api_server_takes() -> None:
    long = Condition(
        type="Ready", status="False", reason="Pending", message="x" * 5000
    )
    assert len(set_condition([], long, NOW)[0].message) == 4096


@given(st.lists(CONDITIONS, max_size=8))
def test_there_is_never_more_than_one_of_a_type(
    wanted: list[Condition],
) -> None:
    found: list[Condition] = []
    for condition in wanted:
        found = set_condition(found, condition, NOW)
    assert len({item.type for item in found}) == len(found)
    for item in found:
        last = next(
            condition
            for condition in reversed(wanted)
            if condition.type == item.type
        )
        assert (item.status, item.reason, item.message) == (
            last.status,
            last.reason,
            last.message,
        )
        assert set_condition(found, last, LATER) == found, (
            "saying the same again changes nothing"
        )
