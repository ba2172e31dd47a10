# SPDX-License-Identifier: Apache-2.0
"""Each snapshot of a device is one place in the server's order, with the device's own unsettled
work on top, and places never go back.

That one statement holds what a person may rely on. Where it is broken, the reason tells the name:

    read your writes      an own value is not there before it was decided
    monotonic reads       the place would have to go back
    atomicity             half of a transaction is there
    causality             something is there and what came before it is not
    writes follow reads   a transaction has its place before something that its device had seen
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Callable, Iterator, Optional

from .order import FOREVER, Order, count_up_to, writes_of
from .recording import Device, Key, Read, Recording, Row, Transaction

ORDER_STATES = ("draft", "submitted", "rejected", "confirmed", "picking", "cancelled")
REGISTERS = {"a": "kind", "b": "channel", "c": "industry", "d": "prefs", "e": "address_region"}

Report = Callable[[str, str], None]  # property, what is wrong


@dataclass
class Bound:
    """Why the place must lie in a span."""
    low: int
    high: int
    why: str
    mark: str = ""  # of the transaction that it speaks of


@dataclass
class Own:
    """What a device has committed so far and the server has taken or will take."""
    values: dict[Key, str] = field(default_factory=dict)  # the last mark of each register
    elements: dict[tuple[str, str], str] = field(default_factory=dict)  # add or remove
    removals: dict[tuple[str, str], int] = field(default_factory=dict)  # places of the last ones
    places: list[int] = field(default_factory=list)  # of its visits, ascending
    # What the server will reject shows until the verdict comes, and nothing tells when that was.
    refused: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    refused_elements: set[tuple[str, str]] = field(default_factory=set)
    rejected: int = 0
    steps: set[tuple[str, str]] = field(default_factory=set)  # order and state


class Judge:
    """Goes through one device's history."""

    def __init__(self, device: Device, order: Order, head: int, report: Report) -> None:
        self.device = device
        self.order = order
        self.head = head
        self.own = Own()
        self.place = 0  # the least at which the last snapshot can be
        self.position = 0
        self.ranks: dict[str, str] = {}  # states of orders
        # Elements that may still come, or go: those gone for good before the place are no news.
        self.open_tags = {customer: set(elements) for customer, elements in order.elements.items()}
        self.reads = 0
        self.say = lambda name, text: report(name, f"device {device.number}, read {self.reads}: "
                                                   f"{text}")

    def run(self) -> None:
        for event in self.device.events:
            if isinstance(event, Transaction):
                self.commit(event)
            else:
                self.reads += 1
                self.judge(event)

    # ---- own work

    def commit(self, transaction: Transaction) -> None:
        mark = transaction.mark
        place = self.order.place.get(mark)
        if place is None:
            if mark in self.order.rejected:
                self.refuse(transaction)
            return  # the outcome says whether it may be nowhere
        if place <= self.place:
            self.say("writes follow reads", f"{mark} has place {place}, but its device had seen "
                                            f"place {self.place} when it was written")
        if self.own.places and place < self.own.places[-1]:
            self.say("causality", f"{mark} stands before its device's earlier work")
        self.own.places.append(place)
        for key, base, _ in writes_of(transaction):
            if base is not None and self.order.place.get(base, 0) >= place:
                self.say("writes follow reads", f"{mark} stands before {base}, which it replaced")
            self.own.values[key] = mark
        for act in transaction.acts:
            if act["act"] in ("add", "remove"):
                self.own.elements[act["id"], act["value"]] = act["act"]
                if act["act"] == "remove":
                    self.own.removals[act["id"], act["value"]] = place
            elif act["act"] == "step":
                self.own.steps.add((act["id"], act["value"]))

    def refuse(self, transaction: Transaction) -> None:
        self.own.rejected += 1
        for key, _, _ in writes_of(transaction):
            self.own.refused[key].add(transaction.mark)
        for act in transaction.acts:
            if act["act"] in ("add", "remove"):
                self.own.refused_elements.add((act["id"], act["value"]))
            elif act["act"] == "step":
                self.own.steps.add((act["id"], act["value"]))

    # ---- a snapshot

    def judge(self, read: Read) -> None:
        if read.position < self.position:
            self.say("monotonic reads", f"position {read.position} after {self.position}")
        self.position = read.position
        bounds: list[Bound] = []
        gaps: list[Bound] = []  # where the place may not lie
        shown = set()
        for row in read.rows:
            shown.add(row["id"])
            bounds += self.row_bounds(row)
            if row["k"] == "c":
                self.tag_bounds(row, bounds, gaps)
        self.check_last(read, shown)
        self.find_place(bounds, gaps)

    def row_bounds(self, row: Row) -> Iterator[Bound]:
        kind = row["k"]
        if kind == "c":
            if row["e"] != row["f"]:
                self.say("atomicity", f"half an address: {row['e']}, {row['f']}")
            for column, name in REGISTERS.items():
                yield from self.register(("customer", row["id"], name), row[column])
        elif kind == "q":
            yield from self.register(("quote", row["id"], "note"), row["a"])
            if row["b"] != (row["c"] or 0):
                self.say("atomicity", f"quote {row['id']}: {row['b']}, its lines {row['c']}")
        elif kind == "l":
            if row["b"] != 1000 * int(row["a"].partition("-")[2]):
                self.say("atomicity", f"line {row['id']}: {row['a']} with {row['b']}")
            if row["id"] not in self.order.ever_deleted:
                yield from self.register(("quote_line", row["id"], "uom"), row["a"])
        elif kind in ("v", "m"):
            yield from self.visit(row)
        elif kind == "o":
            self.step(row)
        elif kind == "n":
            yield self.count(row["a"])

    def register(self, key: Key, value: Optional[str]) -> Iterator[Bound]:
        """Where the place can be, as this value is shown."""
        if value in self.own.refused.get(key, ()):
            return
        name = f"{key[0]} {key[1]} {key[2]} {value}"
        mine = self.own.values.get(key)
        low, high = self.order.span(key, value)
        if mine is None or mine != value:
            if low == high:
                self.say("causality", f"{name} never stood there")
                return
            yield Bound(low, high, name, value or "")
            if mine is not None:
                yield Bound(self.order.place[mine], FOREVER,
                            f"{name} hides the own {mine}", mine)
        else:  # until it is decided, and then as long as it stands
            yield Bound(0, high if low != high else self.order.place[mine], name, mine)

    def visit(self, row: Row) -> Iterator[Bound]:
        mark = row["a"]
        transaction = self.order.transactions.get(mark)
        if transaction is None:
            self.say("causality", f"visit {mark} was never made")
            return
        children = next(act["children"] for act in transaction.acts if act["act"] == "visit")
        if row["b"] != children:
            self.say("atomicity", f"visit {mark} has {row['b']} of {children} actions")
        if transaction.device != self.device.number:
            if mark not in self.order.place:
                self.say("causality", f"visit {mark} of another device was never accepted")
            yield Bound(self.order.place.get(mark, 0), FOREVER, f"visit {mark}", mark)

    def step(self, row: Row) -> None:
        """The state of an order only goes up, but for an own step that was not taken."""
        if row["b"] != 2:
            self.say("atomicity", f"order {row['id']} has {row['b']} of 2 lines")
        before = self.ranks.get(row["id"], "draft")
        if ORDER_STATES.index(row["a"]) < ORDER_STATES.index(before) and \
                (row["id"], before) not in self.own.steps:
            self.say("monotonic reads", f"order {row['id']} is {row['a']} after {before}")
        self.ranks[row["id"]] = row["a"]

    def count(self, count: int) -> Bound:
        """As many visits as there are at the place, and the own ones that are not decided."""
        all_places = self.order.visit_places[self.device.number]
        own = self.own.places

        def at(place: int) -> int:
            return count_up_to(all_places, place) + len(own) - count_up_to(own, place)

        def first(wanted: int) -> int:
            low, high = 0, self.head + 1
            while low < high:
                middle = (low + high) // 2
                low, high = (low, middle) if at(middle) >= wanted else (middle + 1, high)
            return low

        high = first(count + 1)
        return Bound(first(count - self.own.rejected), high if high <= self.head else FOREVER,
                     f"{count} visits")

    def tag_bounds(self, row: Row, bounds: list[Bound], gaps: list[Bound]) -> None:
        """Where the place can be, as these tags are shown and others are not."""
        shown = set(json.loads(row["g"] or "[]"))
        open_tags = self.open_tags.setdefault(row["id"], set())
        for element in open_tags | shown:
            item = (row["id"], element)
            if item in self.own.refused_elements:
                continue
            if item not in self.order.added:
                self.say("causality", f"tag {element} was never accepted")
                continue
            span = (self.order.added[item], self.order.removed.get(item, FOREVER))
            here = element in shown
            why = f"customer {row['id']} tag {element} {'there' if here else 'missing'}"
            mine = self.own.elements.get(item)
            if mine == "remove" and (*item, self.device.number) in self.order.vain:
                if here:  # again
                    bounds.append(Bound(max(self.own.removals[item], span[0]), span[1], why,
                                        element))
                continue
            if here and mine == "remove" and item in self.order.removed:
                self.say("read your writes", f"{why}, but it was removed here")
            elif here:
                bounds.append(Bound(0 if mine == "add" else span[0], span[1], why, element))
            elif mine == "add":
                bounds.append(Bound(span[1], FOREVER, why, element))
            elif span[1] <= self.place:
                open_tags.remove(element)
            elif mine is None:
                gaps.append(Bound(*span, why, element))

    def check_last(self, read: Read, shown: set[str]) -> None:
        if read.last and read.last not in shown and not self.own.rejected:
            self.say("read your writes", f"the visit {read.last} is missing")

    # ---- the place

    def find_place(self, bounds: list[Bound], gaps: list[Bound]) -> None:
        """The least place that fits everything, from the last one on."""
        low = max(bounds, key=lambda bound: bound.low, default=Bound(0, FOREVER, ""))
        high = min(bounds, key=lambda bound: bound.high, default=Bound(0, FOREVER, ""))
        if low.low >= high.high:
            self.say(self.name_of(low, high), f"{low.why} (place {low.low} or later), but "
                                              f"{high.why} (before place {high.high})")
            return
        place = max(self.place, low.low)
        if place >= high.high:
            self.say("monotonic reads", f"{high.why} (before place {high.high}) after place "
                                        f"{self.place}")
            return
        for gap in sorted(gaps, key=lambda gap: gap.low):
            if gap.low <= place < gap.high:
                place = gap.high
                if place >= high.high:
                    self.say(self.name_of(gap, low), f"{gap.why} (it is there from place {gap.low}"
                                                     f" to {gap.high}), but {low.why} and "
                                                     f"{high.why}: {low.low} to {high.high}")
                    return
        self.place = place

    @staticmethod
    def name_of(one: Bound, other: Bound) -> str:
        """The property that two bounds break together."""
        if "hides the own" in one.why or "hides the own" in other.why:
            return "read your writes"
        # What one transaction brought is there, and what it replaced or added beside it is not so.
        return "atomicity" if one.low in (other.high, other.low) else "causality"


def judge_reads(recording: Recording, order: Order, report: Report) -> int:
    """All devices' histories; the number of snapshots."""
    reads = 0
    for device in recording.devices:
        judge = Judge(device, order, recording.server.head, report)
        judge.run()
        reads += judge.reads
    return reads

