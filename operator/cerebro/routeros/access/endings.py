"""Plans the end of access of single clients (rules B1, B2, B4, E1). Pure.

Rows that let a client in go first; what it has running is ended by
`cutoff.py`. Rows that another live Session needs stay.
"""

from __future__ import annotations

from collections.abc import Mapping

from cerebro.routeros.access.cutoff import (
    cut_off,
    let_in_as_user,
    logged_in_by_router,
)
from cerebro.routeros.access.legacy import LegacyClient, legacy_client
from cerebro.routeros.access.marker import client_id, latest_ends
from cerebro.routeros.access.model import Client, Ending
from cerebro.routeros.access.result import UNDO, EndingView
from cerebro.routeros.access.state import PlanState
from cerebro.routeros.access.tables import IndexedRow, in_order
from cerebro.routeros.menus.firewall import CONNECTION
from cerebro.routeros.menus.hotspot import ACTIVE, COOKIE, HOST


class Endings:
    """Plans the endings of one plan. It indexes the granted clients by address
    once, for endings that name no MAC.
    """

    def __init__(self, state: PlanState) -> None:
        self._state = state
        self._promised: Mapping[str, int | None] | None = None
        # By address: the MACs of granted clients with their place among the
        # clients, of which the first counts.
        self._granted_at: dict[str, list[tuple[int, str]]] = {}
        self._last_seen_at: dict[str, list[tuple[int, str]]] = {}
        for order, client in enumerate(state.clients):
            if client.mac:
                self._note(client, client.mac, order)

    def _note(self, client: Client, mac: str, order: int) -> None:
        for ip in client.ips:
            self._granted_at.setdefault(ip, []).append((order, mac))

        for ip in {
            grant.prior_ip for grant in client.grants if grant.prior_ip
        }:
            self._last_seen_at.setdefault(ip, []).append((order, mac))

    def end(self, ending: Ending) -> None:
        """Plan one ending, and note what the rows say of it."""
        self._state.result.endings[ending] = self._end(ending)

    def _end(self, ending: Ending) -> EndingView:
        state = self._state

        if self._is_too_early(ending):
            return EndingView(enforced=False, too_early=True)

        meant = ending.mac or self._client_at(ending) if ending.asks else None
        if meant in state.live_macs:
            return EndingView(enforced=False, mac=meant)

        # What lets the client in goes first.
        before = state.result.count()
        client = self._client_of(ending)
        self._drop_rows(ending, client)

        # Whoever has another live Session keeps what that one needs: only rows
        # of this one went.
        lives = (
            state.is_live(client.mac, client.ips)
            or (ending.mac is None and state.is_live(None, ending.ips))
            or let_in_as_user(state, client.mac, client.ips)
        )

        frozen = not {client.mac, *client.ips}.isdisjoint(state.desired.frozen)
        if lives or frozen:
            return EndingView(state.result.count() == before, mac=client.mac)

        # Then what it has running.
        shut = state.result.count() == before
        keys = {ending.mac, *ending.ips, client.mac, *client.ips}

        login = None
        if state.is_logged_in_again(keys):
            login = logged_in_by_router(state, client.mac, client.ips)

        by_hand = state.granted_by_hand(client.mac, client.ips) or login

        flows, no_host = cut_off(
            state,
            client.mac,
            set(client.ips),
            ending.flows,
            keep_hosts=by_hand is not None,
            keep_logins=login is not None,
        )

        # Nothing is proven by rows that were not read.
        unread = state.unread(HOST, ACTIVE, COOKIE, CONNECTION)
        read = unread is None and state.tables.connections_read

        return EndingView(
            enforced=read and state.result.count() == before,
            flows=flows,
            cut=read and no_host and shut,
            granted_by_hand=by_hand,
            mac=client.mac,
            unread=unread,
        )

    def _drop_rows(self, ending: Ending, client: LegacyClient) -> None:
        """Remove the bindings and list rows that are due with a client."""
        state, tables = self._state, self._state.tables
        ids = {client_id(key) for key in (ending.mac, *ending.ips) if key}

        bindings = tables.bindings

        for row in in_order(
            bindings.of_client(client.mac, client.ips),
            client.bindings,
            bindings.of_client_ids(ids),
        ):
            of_client = row.names(client.mac, client.ips) or client.has(row)

            if self._is_due(row, ending, ids, of_client=of_client):
                state.changes.drop(UNDO, row)

        lists = tables.lists
        for row in in_order(
            lists.at_addresses(client.ips),
            client.lists,
            lists.of_client_ids(ids),
        ):
            listed = row.row.get("list") == state.policy.address_list
            of_client = listed and (
                row.address in client.ips or client.has(row)
            )

            if self._is_due(row, ending, ids, of_client=of_client):
                state.changes.drop(UNDO, row)

    def _is_due(
        self,
        row: IndexedRow,
        ending: Ending,
        ids: set[str],
        *,
        of_client: bool,
    ) -> bool:
        """Return whether a row goes with an ended client: it names the client,
        or bears its marker from an address that the client has left.
        """

        state, marker = self._state, row.marker
        if state.changes.settled(row) or state.is_frozen(row):
            return False

        passed_at = state.desired.passed_at
        if passed_at is not None and (
            marker is None or not marker.passed(passed_at)
        ):
            return False

        if marker is not None:
            return of_client or marker.client_id in ids

        return of_client and ending.revoked and row.legacy

    def _client_at(self, ending: Ending) -> str | None:
        """Return the MAC of the live client that an ending means by its
        address: of who is there now, else of who was there last. An ending
        that is late means only the latter, as others may have got the address
        since.
        """

        last_seen = _first(ending, self._last_seen_at)
        if ending.late:
            return last_seen

        holder = next(
            (
                self._state.held[ip]
                for ip in ending.ips
                if ip in self._state.held
            ),
            None,
        )
        if holder is not None:
            return holder

        return last_seen or _first(ending, self._granted_at)

    def _client_of(self, ending: Ending) -> LegacyClient:
        """Return the client of an ending: at its end by the clock what is
        known of it, at a revoke also what the older relay's rows say (rule
        B4).
        """
        mac, held = ending.mac, self._state.held
        ips = {
            ip for ip in ending.ips if mac is None or held.get(ip, mac) == mac
        }
        if not ending.revoked:
            return LegacyClient(mac, frozenset(ips))

        return legacy_client(mac, ips, self._state)

    def _is_too_early(self, ending: Ending) -> bool:
        """Return whether a row of the client promises access beyond
        `passed_at`: another agent may have prolonged it (rule E1).
        """

        passed_at = self._state.desired.passed_at
        if passed_at is None:
            return False

        if self._promised is None:
            self._promised = latest_ends(
                row.marker for row in self._state.tables.marked()
            )

        for key in (ending.mac, *ending.ips):
            identifier = client_id(key) if key else ""

            if identifier in self._promised:
                until = self._promised[identifier]
                if until is None or until > passed_at:
                    return True

        return False


def _first(
    ending: Ending, macs_at: Mapping[str, list[tuple[int, str]]]
) -> str | None:
    """Return the MAC of the first client, in the order of the clients, at an
    address of an ending.
    """
    entries = [entry for ip in ending.ips for entry in macs_at.get(ip, ())]
    return min(entries)[1] if entries else None
