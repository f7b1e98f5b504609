"""What all models have in common."""

from __future__ import annotations

from cerebro.resources import Session

SESSION = {
    "metadata": {"name": "s", "namespace": "ns"},
    "spec": {"deviceRef": {"name": "d"}, "client": {}},
}


def test_models_keep_no_set_of_the_fields_that_were_given() -> None:
    """Such a set for each part is half of what a Session takes in memory."""
    one, two = (Session.model_validate(SESSION) for _ in range(2))
    parts = (one, two, one.metadata, two.spec)
    sets = {id(part.model_fields_set) for part in parts}
    assert len(sets) == 1


def test_copies_compare_by_their_values_alone() -> None:
    one = Session.model_validate(SESSION)
    copy = one.model_copy(update={"spec": one.spec.model_copy()})
    assert copy == one
    changed = {"status": one.status.model_copy(update={"phase": "Active"})}
    assert one.model_copy(update=changed) != one
