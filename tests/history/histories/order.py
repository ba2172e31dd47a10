# SPDX-License-Identifier: Apache-2.0
"""The server's order of all transactions, and what each item said at each place in it.

A transaction's place is the version of its visit. A register's value changes at the place of each
write, except of one that had lost when it arrived: the conflict log says so. An element of a set is
there from the place of its addition to that of a removal by somebody who had seen it. Who has seen
what is told by the versions named: while an own change of the record is not decided, that is an old
one, and a removal of what came after it is in vain, and logged.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Iterator, Optional

from .recording import MARK, Key, Recording, Transaction, same_key

FOREVER = 1 << 62
NEVER = (0, 0)  # an empty span

Span = tuple[int, int]  # from a place to before another


@dataclass
class Write:
    """One transaction's value of a register."""
    mark: str
    place: int
    base: Optional[str]
    seen: int


def writes_of(transaction: Transaction) -> Iterator[tuple[Key, Optional[str], int]]:
    """The registers that it sets, with what was read before and the version named."""
    for act in transaction.acts:
        if act["act"] == "write":
            yield same_key(act["entity"], act["id"], act["field"]), act["base"], act["seen"]
        elif act["act"] == "quote":
            yield ("quote", act["id"], "note"), None, 0
        elif act["act"] == "line":
            yield ("quote_line", act["id"], "uom"), None, 0


class Order:
    """Places, registers and sets."""

    def __init__(self, recording: Recording) -> None:
        self.transactions = {one.mark: one for one in recording.transactions()}
        self.place = {row["feedback"]: row["version"]
                      for row in recording.server.table("visit").values()}
        self.rejected = {mark for device in recording.devices for mark in device.store.inbox}
        self.kept: dict[tuple[Key, str], set[str]] = defaultdict(set)
        for row in recording.server.table("field_conflict").values():
            self.note(row)
        self.writes: dict[Key, list[Write]] = defaultdict(list)
        self.bases = {(key, one.mark): base for one in self.transactions.values()
                      if one.mark not in self.place for key, base, _ in writes_of(one)}
        self.spans: dict[Key, dict[Optional[str], Span]] = {}
        self.deletes: dict[str, list[tuple[Transaction, dict[str, Any]]]] = defaultdict(list)
        self.ever_deleted = {act["id"] for one in self.transactions.values() for act in one.acts
                             if act["act"] == "delete"}
        self.added: dict[tuple[str, str], int] = {}  # customer and element
        self.removed: dict[tuple[str, str], int] = {}
        self.vain: set[tuple[str, str, int]] = set()  # also whose removal
        self.elements: dict[str, list[str]] = defaultdict(list)  # of a customer, ever
        accepted = [one for one in self.transactions.values() if one.mark in self.place]
        accepted.sort(key=lambda one: self.place[one.mark])
        for transaction in accepted:
            self.take(transaction)
        for key, writes in self.writes.items():
            self.spans[key] = self.stand(key, writes)
        self.visit_places = self.count_visits(recording, accepted)

    def note(self, row: dict[str, Any]) -> None:
        """An entry of the conflict log: which marks have lost, against which."""
        key = same_key(row["entity_name"], row["record_id"], row["field_name"])
        kept = set(MARK.findall(row["kept"] or ""))
        for mark in MARK.findall((row["lost"] or "") + " " + (row["lost_rest"] or "")):
            self.kept[key, mark] |= kept

    def take(self, transaction: Transaction) -> None:
        place = self.place[transaction.mark]
        for key, base, seen in writes_of(transaction):
            self.writes[key].append(Write(transaction.mark, place, self.stood(key, base), seen))
        for act in transaction.acts:
            if act["act"] == "add":
                self.added[act["id"], act["value"]] = place
                self.elements[act["id"]].append(act["value"])
            elif act["act"] == "delete":
                base = self.stood(("quote_line", act["id"], "uom"), act["base"])
                self.deletes[act["id"]].append((transaction, {**act, "base": base}))
            elif act["act"] == "remove" and self.knew(transaction, act):
                self.removed.setdefault((act["id"], act["value"]), place)
            elif act["act"] == "remove" and (act["id"], act["value"]) not in self.removed:
                self.vain.add((act["id"], act["value"], transaction.device))

    def stood(self, key: Key, base: Optional[str]) -> Optional[str]:
        """What was read before a write; where that was an own value that was rejected later, what
        that had replaced."""
        while (key, base) in self.bases:
            base = self.bases[key, base or ""]
        return base

    def knew(self, transaction: Transaction, act: dict[str, Any]) -> bool:
        """Whether a removal names a version that has the element, or is by who added it."""
        added = self.place.get(act["value"], FOREVER)
        return act["seen"] >= added or act["value"].startswith(f"{transaction.device}-")

    def stand(self, key: Key, writes: list[Write]) -> dict[Optional[str], Span]:
        """From where to where each value stood."""
        spans: dict[Optional[str], Span] = {}
        value: Optional[str] = None
        since = 0
        for write in writes:
            if self.lost_on_arrival(key, write):
                continue
            spans[value] = (since, write.place)
            value, since = write.mark, write.place
        spans[value] = (since, FOREVER)
        return spans

    def lost_on_arrival(self, key: Key, write: Write) -> bool:
        return any(self.place.get(mark, FOREVER) < write.place
                   for mark in self.kept.get((key, write.mark), ()))

    def is_logged(self, key: Key, mark: str) -> bool:
        return (key, mark) in self.kept

    def span(self, key: Key, value: Optional[str]) -> Span:
        """Where in the order the register has this value."""
        spans = self.spans.get(key)
        if spans is None:
            return (0, FOREVER) if value is None else NEVER
        return spans.get(value, NEVER)

    def final(self, key: Key) -> Optional[str]:
        return next(value for value, (_, end) in self.spans[key].items() if end == FOREVER)

    def count_visits(self, recording: Recording, accepted: list[Transaction]
                     ) -> dict[int, list[int]]:
        """For each device, the places of all visits that it may see."""
        customers = recording.server.table("customer")
        places: dict[int, list[int]] = {}
        for device in recording.devices:
            buckets = set(device.store.buckets)
            places[device.number] = [
                self.place[one.mark] for one in accepted for act in one.acts
                if act["act"] == "visit" and customers[act["customer"]]["bucket"] in buckets]
        return places


def count_up_to(places: list[int], place: int) -> int:
    return bisect.bisect_right(places, place)
