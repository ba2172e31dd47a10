# SPDX-License-Identifier: Apache-2.0
"""A small history that is right, made by hand, for the self-test to spoil."""

from __future__ import annotations

import copy
from typing import Any

from .recording import Device, Read, Recording, Row, Store, Transaction

SHOP = "shop"
BUCKET = 1
TABLES = ("customer", "visit", "visit_action", "quote", "quote_line", "sales_order", "order_line",
          "field_conflict")


class Script:
    """A server that decides at once, and devices that are told from which place they look."""

    def __init__(self) -> None:
        self.server = Store({name: {} for name in TABLES})
        self.put("customer", SHOP, kind=None, channel=None, industry=None, prefs=None,
                 address_region=None, address_city=None, tags="[]")
        self.devices = [Device(number) for number in range(2)]
        self.states = [copy.deepcopy(self.server.tables)]

    def put(self, entity: str, record: str, **fields: Any) -> None:
        row = {"id": record, "version": self.server.head, "bucket": BUCKET, **fields}
        self.server.tables[entity].setdefault(record, row).update(row)

    def commit(self, device: int, *acts: Row) -> Transaction:
        """A transaction that the server accepts at the next place."""
        number = 1 + sum(isinstance(event, Transaction) for event in self.devices[device].events)
        transaction = Transaction(device, number, [*acts], "ok")
        mark = transaction.mark
        transaction.acts.append({"act": "visit", "id": f"v{mark}", "customer": SHOP,
                                 "children": 2})
        self.devices[device].events.append(transaction)
        self.server.head += 1
        self.server.decisions.append((device + 1, number, self.server.head))
        for act in transaction.acts:
            self.apply(mark, act)
        self.states.append(copy.deepcopy(self.server.tables))
        return transaction

    def apply(self, mark: str, act: Row) -> None:
        name, record = act["act"], act["id"]
        if name == "visit":
            self.put("visit", record, feedback=mark)
            for index in range(act["children"]):
                self.put("visit_action", f"{record}.{index}", visit_id=record)
        elif name == "write" and not act.get("loses"):
            fields = {act["field"]: mark}
            if act["field"] == "address_region":
                fields["address_city"] = mark
            self.put(act["entity"], record, **fields)
        elif name in ("add", "remove") and not act.get("vain"):
            self.put("customer", record, tags=f'["{mark}"]' if name == "add" else "[]")
        elif name == "quote":
            self.put("quote", record, note=mark, subtotal=0)
        elif name == "line":
            self.put("quote_line", record, quote_id=act["quote"], uom=mark, amount=20,
                     qty=1000 * int(mark.partition("-")[2]))
            self.put("quote", act["quote"],
                     subtotal=20 + self.server.table("quote")[act["quote"]]["subtotal"])
        elif name == "order":
            self.put("sales_order", record, status="draft")
            for index in range(2):
                self.put("order_line", f"{record}.{index}", order_id=record)
        elif name == "step":
            self.put("sales_order", record, status=act["value"])

    def look(self, device: int, place: int) -> Read:
        """A snapshot of what stood at the place."""
        state = self.states[place]
        rows = [row("c", one, one["kind"], one["channel"], one["industry"], one["prefs"],
                    one["address_region"], one["address_city"], one["tags"])
                for one in state["customer"].values()]
        rows += [row("q", one, one["note"], one["subtotal"], one["subtotal"])
                 for one in state["quote"].values()]
        rows += [row("l", one, one["uom"], one["qty"]) for one in state["quote_line"].values()]
        rows += [row("v", one, one["feedback"], 2) for one in state["visit"].values()]
        rows += [row("o", one, one["status"], 2) for one in state["sales_order"].values()]
        rows.append(row("n", {"id": ""}, len(state["visit"])))
        own = [one["id"] for one in state["visit"].values()
               if one["feedback"].startswith(f"{device}-")]
        read = Read(rows, own[-1] if own else "", place)
        self.devices[device].events.append(read)
        return read

    def finish(self) -> Recording:
        for device in self.devices:
            device.store.head = self.server.head
            device.store.buckets = [BUCKET]
            device.store.told = {f"{device.number}-3"}
            device.store.tables = copy.deepcopy(self.server.tables)
        return Recording(self.devices, self.server)


def row(kind: str, record: Row, *values: Any) -> Row:
    """A row of a snapshot as the worker's statement gives it."""
    filled = [*values, *[None] * (7 - len(values))]
    return {"k": kind, "id": record["id"], "v": 0, **dict(zip("abcdefg", filled))}


def write(field: str, base: Any, seen: int, loses: bool = False) -> Row:
    return {"act": "write", "entity": "customer", "id": SHOP, "field": field, "base": base,
            "seen": seen, "loses": loses}


def right() -> Recording:
    """Two devices that do a little of everything; 0-3 loses a name against 1-2, which it had not
    seen, and that is in the log."""
    script = Script()
    script.commit(0, write("kind", None, 0), write("address_region", None, 0))
    script.look(0, 1)
    script.look(1, 1)
    script.commit(1, write("kind", "0-1", 1), {"act": "add", "id": SHOP, "value": "1-1", "seen": 1})
    script.look(1, 2)
    script.commit(0, {"act": "quote", "id": "q"}, {"act": "line", "id": "l", "quote": "q"},
                  {"act": "order", "id": "o", "children": 2})
    script.look(0, 3)
    script.look(1, 3)
    script.commit(1, write("prefs", None, 0), {"act": "step", "id": "o", "value": "submitted"})
    script.look(0, 4)
    script.look(1, 4)
    script.commit(0, write("prefs", None, 0, loses=True))
    script.put("field_conflict", "x", entity_name="customer", record_id=SHOP, field_name="prefs",
               kept='"1-2"', lost='"0-3"', lost_rest=None)
    script.look(0, 5)
    script.look(0, 5)
    script.look(1, 5)
    return script.finish()


def right_in_vain() -> Recording:
    """0-1 and 0-2 remove a tag that they had not seen, both in vain; between them it is there
    again."""
    script = Script()
    vain = {"act": "remove", "id": SHOP, "value": "1-1", "seen": 0, "vain": True}
    script.commit(1, {"act": "add", "id": SHOP, "value": "1-1", "seen": 0})
    script.commit(0, {**vain})
    script.commit(1, write("prefs", None, 1))
    script.look(0, 3)
    script.commit(1, write("kind", None, 3))
    script.commit(0, {**vain})
    script.put("field_conflict", "x", entity_name="customer", record_id=SHOP, field_name="tags",
               kept=None, lost='"1-1"', lost_rest=None)
    script.look(0, 5)
    return script.finish()
