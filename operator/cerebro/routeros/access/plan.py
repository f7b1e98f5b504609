"""The plan of access: `wanted, actual -> what to change on the router`, in an order that never lets in or
cuts off wrongly.

Pure. Rules B1 to B4; the order of operations is 5.4 of the RouterOS reference: new treatment first, then the
host row goes, because a binding acts only on hosts that are created after it.
"""

from __future__ import annotations

from dataclasses import replace

from cerebro.routeros.access.cutoff import CutOff
from cerebro.routeros.access.legacy import LegacyClient, legacy_client
from cerebro.routeros.access.marker import client_id
from cerebro.routeros.access.model import AccessPolicy, Actual, Client, DesiredAccess, Ending, binding_matches
from cerebro.routeros.access.ownership import marked_ends
from cerebro.routeros.access.result import ADD, HOSTS, SET, UNDO, AccessPlan, EndingView, GrantView
from cerebro.routeros.menus.firewall import ADDRESS_LIST
from cerebro.routeros.menus.hotspot import HOST, IP_BINDING
from cerebro.routeros.menus.menu import Menu, Row, is_true

_NOWHERE = ""  # a hotspot server that no row names: such a row decides only if it is for all


def access_plan(wanted: DesiredAccess, actual: Actual, policy: AccessPolicy) -> AccessPlan:
    """Return what makes the router's access equal to `wanted`; applied and planned again it gives nothing."""
    return _Planner(wanted, actual, policy).plan()


class _Planner(CutOff):
    def plan(self) -> AccessPlan:
        begun = [(client, *self._grant(client)) for client in self.clients]
        for client, blocked, changes in begun:
            self._conclude(client, blocked, changes)
        for ending in self.wanted.endings:
            self._end(ending)
        if self.wanted.complete and not self.wanted.frozen_all:
            self._orphans()
        return self.result

    # --- granting

    def _grant(self, client: Client) -> tuple[str | None, int]:
        """Plan the client's rows; returns what a person put in the way, and how many changes it takes."""
        before = [len(stage) for stage in self.result.stages]
        by_hand = self._foreign_bypass(client)
        blocked = None if by_hand else self._blocked_by_hand(client)
        if blocked is None:
            if by_hand is None:
                self._bind(client)
            for ip in client.ips:
                self._list(client, ip)
            self._refresh_hosts(client)
        changes = self.result.count() - sum(before)
        if self._held(client):
            for stage, length in zip(self.result.stages, before, strict=True):
                del stage[length:]
        return blocked, changes

    def _conclude(self, client: Client, blocked: str | None, changes: int) -> None:
        """Tidy up when every client has its rows, so that nobody's go, and say what the rows say of its
        grants.
        """
        if blocked is None and not self._held(client):
            changes += self._tidy(client)
        view = GrantView(blocked is None and not changes, client.mac, tuple(client.ips), blocked)
        held = self._held(client)
        for grant in client.grants:
            self.result.grants[grant] = view if held or not grant.hold else replace(view, granted=False)

    def _held(self, client: Client) -> bool:
        return all(grant.hold for grant in client.grants)

    def _exact(self, client: Client, row: Row) -> bool:
        row_mac = IP_BINDING.normal(row, "mac-address")
        if client.mac:
            return row_mac == client.mac
        return not row_mac and IP_BINDING.normal(row, "address") in client.ips

    def _foreign_bypass(self, client: Client) -> Row | None:
        """Return a row made by hand that lets this very client in, where no row of ours does already."""
        row = next((row for row in self.actual.bindings if self._decides(client, row)), None)
        wanted_type = self.policy.binding_type
        hit = row is not None and self.whose.foreign(row) and self._exact(client, row)
        return row if row and hit and IP_BINDING.normal(row, "type") == wanted_type == "bypassed" else None

    def _decides(self, client: Client, row: Row) -> bool:
        """Tell whether a row surely acts on the client: one for another server does not, nor where none is known."""
        server = self._server(client.mac, client.ips) or _NOWHERE
        return binding_matches(row, client.mac, client.ips, server)

    def _blocked_by_hand(self, client: Client) -> str | None:
        """Return what a person made against this very client; a row for one server counts unless the client is on
        another.
        """
        if any(self._exact(client, row) and not self.whose.foreign(row) for row in self.actual.bindings):
            return None
        server = self._server(client.mac, client.ips)
        for row in self.actual.bindings:
            if not self.whose.foreign(row) or not self._exact(client, row):
                continue
            kind = IP_BINDING.normal(row, "type")
            only_elsewhere = kind == self.policy.binding_type and not self._decides(client, row)
            if binding_matches(row, client.mac, client.ips, server) and not only_elsewhere:
                return f"ip-binding {row['.id']} of {client.key}, made by hand, has type {kind}"
        return None

    def _bind(self, client: Client) -> None:
        wanted = {
            "mac-address": client.mac or "",
            "address": "" if client.mac else client.ips[0],
            "server": self.policy.server or "all",
            "type": self.policy.binding_type,
            "disabled": "false",
            "comment": str(client.marker(self.policy.installation)),
        }
        own = [r for r in self.actual.bindings if not self.whose.foreign(r) and self._was_of(client, r)]
        own.sort(key=lambda row: (not self._exact(client, row), not self.whose.ours(row)))
        before = self._first_foreign_match(client)
        if not own:
            attributes = {name: value for name, value in wanted.items() if value}
            if not self.policy.server:
                del attributes["server"]
            del attributes["disabled"]
            if before is not None:
                attributes["place-before"] = before[".id"]
            self.changes.do(ADD, IP_BINDING, "add", attributes)
            self.result.repaired.add(client_id(client.key))
            return
        row, *others = own
        if self.changes.keep(IP_BINDING, row, wanted):
            self.result.repaired.add(client_id(client.key))
        for other in others:
            self.changes.drop(UNDO, IP_BINDING, other)
        if before is not None and self._position(before) < self._position(row):
            self.changes.do(SET, IP_BINDING, "move", {"numbers": row[".id"], "destination": before[".id"]})

    def _was_of(self, client: Client, row: Row) -> bool:
        """Tell whether a row is the client's, also one by address from before its MAC was seen (rule B2)."""
        if self._exact(client, row):
            return True
        marker = self.whose.marker(row)
        if marker is None or marker.client_id in self.live_ids or IP_BINDING.normal(row, "mac-address"):
            return False
        ips = {*client.ips, *(grant.ip for grant in client.grants)} - self.live_keys
        return IP_BINDING.normal(row, "address") in ips and not self.changes.settled(IP_BINDING, row)

    def _tidy(self, client: Client) -> int:
        """Remove list rows of the client at addresses that it has left (rule B2), and rows by hand that made
        ours needless.
        """
        mine, before = client_id(client.key), self.result.count()
        for menu, rows in ((IP_BINDING, self.actual.bindings), (ADDRESS_LIST, self.actual.lists)):
            for row in rows:
                marker = self.whose.marker(row)
                if marker and marker.client_id == mine and not self.changes.settled(menu, row):
                    self.changes.drop(UNDO, menu, row)
        return self.result.count() - before

    def _position(self, row: Row) -> int:
        return next(i for i, other in enumerate(self.actual.bindings) if other[".id"] == row[".id"])

    def _first_foreign_match(self, client: Client) -> Row | None:
        """Return the first row of others that ours must stand before, whatever server the client comes to."""
        foreign = (row for row in self.actual.bindings if self.whose.foreign(row))
        server = self.policy.server
        return next((r for r in foreign if binding_matches(r, client.mac, client.ips, server)), None)

    def _list(self, client: Client, ip: str) -> None:
        comment = str(client.marker(self.policy.installation))
        wanted = {"list": self.policy.address_list, "address": ip, "disabled": "false", "comment": comment}
        rows = [r for r in self.actual.lists if self._is_list_row(r, ip)]
        own = sorted((r for r in rows if not self.whose.foreign(r)), key=lambda r: not self.whose.ours(r))
        if own:
            if self.changes.keep(ADDRESS_LIST, own[0], wanted):
                self.result.repaired.add(client_id(client.key))
            for other in own[1:]:
                self.changes.drop(UNDO, ADDRESS_LIST, other)
        elif not any(not is_true(r, "disabled") for r in rows):
            del wanted["disabled"]
            self.changes.do(ADD, ADDRESS_LIST, "add", wanted)
            markers = (self.whose.marker(row) for row in self.actual.lists)
            if not any(marker and marker.client_id == client_id(client.key) for marker in markers):
                self.result.repaired.add(
                    client_id(client.key)
                )  # else the client has only another address now

    def _is_list_row(self, row: Row, ip: str) -> bool:
        return row.get("list") == self.policy.address_list and ADDRESS_LIST.normal(row, "address") == ip

    def _refresh_hosts(self, client: Client) -> None:
        """Remove hosts that were created before the binding: they keep their old treatment until they are
        gone (rule B1).
        """
        if self.policy.binding_type != "bypassed":
            return
        for host in self.actual.hosts:
            server = self.policy.server
            elsewhere = server is not None and host.get("server", server) != server
            mine = self._is_host(host, client.mac, client.ips)
            if mine and not is_true(host, "bypassed") and not elsewhere:
                self.changes.drop(HOSTS, HOST, host)

    # --- ending

    def _end(self, ending: Ending) -> None:
        before = self.result.count()
        if self._too_early(ending):
            self.result.endings[ending] = EndingView(enforced=False, too_early=True)
            return
        asked = ending.mac or self._client_at(ending) if ending.asks else None
        if asked in self.live_macs:
            self.result.endings[ending] = EndingView(enforced=False, mac=asked)
            return
        kin = self._kin(ending)
        for row in self.actual.bindings:
            mine = self._of_client(row, kin.mac, kin.ips) or kin.has(IP_BINDING, row)
            if self._due(IP_BINDING, row, ending, mine):
                self.changes.drop(UNDO, IP_BINDING, row)
        for row in self.actual.lists:
            listed = row.get("list") == self.policy.address_list
            mine = ADDRESS_LIST.normal(row, "address") in kin.ips or kin.has(ADDRESS_LIST, row)
            if self._due(ADDRESS_LIST, row, ending, listed and mine):
                self.changes.drop(UNDO, ADDRESS_LIST, row)
        lives = self._lives(kin.mac, kin.ips) or (ending.mac is None and self._lives(None, ending.ips))
        if lives or {kin.mac, *kin.ips} & self.wanted.frozen:
            # Whoever has another live Session keeps what that one needs; only rows of this one went.
            self.result.endings[ending] = EndingView(self.result.count() == before, mac=kin.mac)
            return
        shut = self.result.count() == before
        by_hand = self._granted_by_hand(kin.mac, kin.ips)
        flows, cut = self._cut_off(kin.mac, set(kin.ips), ending.flows, keep_hosts=by_hand is not None)
        enforced = self.result.count() == before
        self.result.endings[ending] = EndingView(enforced, flows, cut and shut, by_hand, mac=kin.mac)

    def _client_at(self, ending: Ending) -> str | None:
        """Return the live client that an ending means by its address: who is there now, else who was there last; late
        only that one, as others may have got the address since.
        """
        last = (c.mac for c in self.clients if any(grant.prior_ip in ending.ips for grant in c.grants))
        seen = next((mac for mac in last if mac), None)
        holder = next((self.held[ip] for ip in ending.ips if ip in self.held), None)
        if ending.late:
            return seen
        if holder is not None:
            return holder
        said = (client.mac for client in self.clients if client.mac and not ending.ips.isdisjoint(client.ips))
        return seen or next(said, None)

    def _kin(self, ending: Ending) -> LegacyClient:
        """Return the client of an ending: at its end by the clock what is known of it, at a revoke also what the
        older relay's rows say (rule B4).
        """
        mac = ending.mac
        ips = {ip for ip in ending.ips if mac is None or self.held.get(ip, mac) == mac}
        if not ending.revoked:
            return LegacyClient(mac, frozenset(ips), frozenset())
        legacy = [row for row in self.actual.bindings if self.whose.legacy(row) and not self._is_frozen(row)]
        listed = [row for row in self.actual.lists if self.whose.legacy(row) and not self._is_frozen(row)]
        return legacy_client(mac, ips, self.held, legacy, listed)

    def _too_early(self, ending: Ending) -> bool:
        """Tell whether a row of the client promises access beyond `passed_at`: another agent may have
        prolonged it (rule E1).
        """
        if self.wanted.passed_at is None:
            return False
        ids = {client_id(key) for key in (ending.mac, *ending.ips) if key}
        ends = marked_ends(self.actual, self.policy)
        return any(ends[i] is None or (ends[i] or 0) > self.wanted.passed_at for i in ids & ends.keys())

    def _due(self, menu: Menu, row: Row, ending: Ending, of_client: bool) -> bool:
        """Tell whether a row goes with an ended client: it names the client, or bears its marker (an address
        that it has left).
        """
        if self.changes.settled(menu, row) or self._is_frozen(row):
            return False
        marker = self.whose.marker(row)
        if self.wanted.passed_at is not None and (marker is None or not marker.passed(self.wanted.passed_at)):
            return False
        if marker is not None:
            return of_client or marker.client_id in {
                client_id(key) for key in (ending.mac, *ending.ips) if key
            }
        return of_client and ending.revoked and self.whose.legacy(row)

    # --- rows that nobody explains

    def _orphans(self) -> None:
        ended: dict[str, list[tuple[Menu, Row]]] = {}
        held = {client_id(client.key) for client in self.clients if self._held(client)}
        for menu, rows in ((IP_BINDING, self.actual.bindings), (ADDRESS_LIST, self.actual.lists)):
            for row in rows:
                marker = self.whose.marker(row)
                if marker is None:
                    continue
                self.result.marked.add(marker.client_id)
                if self.changes.settled(menu, row) or self._is_frozen(row) or marker.client_id in held:
                    continue
                if not marker.passed(self.wanted.now):
                    self.result.orphans.add(marker.client_id)
                    if self.wanted.keep_orphans:
                        continue
                ended.setdefault(marker.client_id, []).append((menu, row))
        for rows_of_one in ended.values():
            self._retire(rows_of_one)
        self._unexplained_hosts()

    def _retire(self, rows: list[tuple[Menu, Row]]) -> None:
        """Cut off a client that no Session knows any more. Its rows are the only note of it: they are disabled at
        first, and removed together with what a packet of it began before its host was gone.
        """
        macs = [IP_BINDING.normal(row, "mac-address") for _, row in rows]
        mac = next((one for one in macs if one), None)
        ips = {ip for menu, row in rows if (ip := menu.normal(row, "address"))}
        mine = {ip for ip in ips if mac is None or self.held.get(ip, mac) == mac}
        if self._lives(mac, mine) or self._granted_by_hand(mac, mine) is not None:
            for menu, row in rows:
                self.changes.drop(UNDO, menu, row)
            return
        self._cut_off(mac, mine, None)
        in_force = [(menu, row) for menu, row in rows if not is_true(row, "disabled")]
        for menu, row in in_force:
            self.changes.disable(menu, row)
        let_in = any(self._is_host(h, mac, mine) and self._unexplained(h) for h in self.actual.hosts)
        for menu, row in rows if not in_force and not let_in else ():
            self.changes.drop(HOSTS, menu, row)

    def _unexplained_hosts(self) -> None:
        """Remove a bypassed host that no enabled binding explains: what an agent that died left behind (rule
        B1).
        """
        for host in self.actual.hosts:
            mac, ip = HOST.normal(host, "mac-address"), host.get("address", "")
            if mac not in self.live_macs and not {mac, ip} & self.wanted.frozen and self._unexplained(host):
                self._cut_off(mac, {ip} - self.live_ips, None)


def without_orphans(wanted: DesiredAccess, actual: Actual, policy: AccessPolicy) -> AccessPlan:
    """Return the plan that leaves unexplained rows whose end has not come (rule E13: a mass removal waits)."""
    return access_plan(replace(wanted, keep_orphans=True), actual, policy)
