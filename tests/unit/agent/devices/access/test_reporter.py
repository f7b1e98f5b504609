"""What is remembered of the statuses that were reported."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cerebro.agent.context import AgentContext
from cerebro.agent.devices.access.desired import SessionDecision
from cerebro.agent.devices.access.reporter import SessionReporter
from cerebro.agent.router_metrics import RouterMetrics
from cerebro.domain.lifecycle import Verdict
from cerebro.kube.cache.store import Store
from cerebro.kube.status_writer import Write
from cerebro.resources import Session, format_time
from cerebro.resources.naming import ANNOTATION_TRACE_ID
from cerebro.routeros.access.model import Ending, Grant
from cerebro.routeros.access.result import AccessPlan, EndingView, GrantView
from support.events import Events

M = "AA:00:00:00:00:01"
GRANT = Grant(M, None, None)


class Reports:
    """A reporter, and what it has written."""

    def __init__(self) -> None:
        self.written: list[Write] = []
        self.events = Events()
        statuses = SimpleNamespace(put=self.written.append)
        metrics = SimpleNamespace(granted=lambda _seconds: None)
        context = SimpleNamespace(
            statuses=statuses,
            metrics=metrics,
            router_metrics=RouterMetrics(Store()),
            recorder=self.events,
        )
        self.reporter = SessionReporter(cast(AgentContext, context))

    def report(self, session: Session, *, granted: bool) -> bool:
        plan = AccessPlan(grants={GRANT: GrantView(granted, M, ())})
        decision = SessionDecision(
            session, Verdict(None, None, None), grant=GRANT
        )
        return self.reporter.report(decision, plan, None)

    def end(self, session: Session) -> bool:
        verdict = Verdict(
            "Revoked", None, None, "Revoked", "spec.revoked is true"
        )
        ending = Ending(M, frozenset(), revoked=True)
        plan = AccessPlan(endings={ending: EndingView(enforced=True)})
        decision = SessionDecision(session, verdict, ending=ending)
        return self.reporter.report(decision, plan, None)


def a_session(
    age: timedelta = timedelta(0), status: dict[str, Any] | None = None
) -> Session:
    created = datetime.now(UTC) - age
    meta = {
        "name": "s",
        "namespace": "ns",
        "uid": "s",
        "creationTimestamp": format_time(created),
    }
    spec = {"deviceRef": {"name": "d"}, "client": {"macAddress": M}}
    return Session.model_validate(
        {"metadata": meta, "spec": spec, "status": status or {}}
    )


def test_a_status_is_remembered_until_the_store_has_it() -> None:
    """Two statuses for each of a hundred thousand Sessions would be too many."""
    reports, new = Reports(), a_session()
    assert reports.report(new, granted=True)
    assert reports.reporter.known(new).status.phase == "Active"

    wire = reports.written[0].status
    stored = a_session(status=wire)
    assert reports.reporter.known(stored) is stored
    assert reports.reporter.known(new).status.phase is None, "forgotten"


def test_nothing_is_told_of_a_new_session_that_is_only_being_let_in() -> None:
    reports = Reports()
    assert not reports.report(a_session(), granted=False)
    assert reports.report(a_session(), granted=True)
    (write,) = reports.written
    assert write.status["phase"] == "Active"
    assert write.line == "d"


def test_a_session_that_waits_for_long_says_so() -> None:
    reports = Reports()
    assert reports.report(a_session(timedelta(minutes=2)), granted=False)
    (write,) = reports.written
    assert write.status["phase"] == "Pending"


def test_begin_and_end_of_access_are_logged_with_the_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    reports, session = Reports(), a_session()
    session.metadata.annotations[ANNOTATION_TRACE_ID] = "trace-1"
    reports.report(session, granted=True)
    reports.report(reports.reporter.known(session), granted=True)
    reports.end(reports.reporter.known(session))
    traces = [
        (record.getMessage(), vars(record)["traceId"], vars(record)["session"])
        for record in caplog.records
    ]
    assert traces == [
        (
            "Session ns/s: Granted: access is on the router of Device d, until it is revoked",
            "trace-1",
            "ns/s",
        ),
        (
            "Session ns/s: Revoked: access is off the router of Device d: spec.revoked is true",
            "trace-1",
            "ns/s",
        ),
    ]
    assert reports.events.reasons == ["Granted", "Revoked"]
