# SPDX-License-Identifier: Apache-2.0
"""What a run has left: the devices' histories and all stores, read into plain objects."""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
import sqlite3
from dataclasses import dataclass, field
from typing import Any, Optional, Union

from .company import Company

MARK = re.compile(r"\b\d+-\d+\b")
PRIVATE_VIEWS = ("sync_state", "inbox", "buckets", "fetched")
# Groups of fields that merge as one value: which field stands for which.
GROUPS = {"address_city": "address_region", "qty": "uom"}

Key = tuple[str, str, str]  # entity, id, field
Row = dict[str, Any]


@dataclass
class Transaction:
    """What a device committed or tried to."""
    device: int
    number: int
    acts: list[dict[str, Any]]
    outcome: str = "unknown"  # or ok, fail

    @property
    def mark(self) -> str:
        return f"{self.device}-{self.number}"


@dataclass
class Read:
    """One snapshot of a device's store."""
    rows: list[Row]
    last: str = ""  # the visit that this process committed last
    position: int = 0


@dataclass
class Store:
    """A store at the end."""
    tables: dict[str, dict[str, Row]] = field(default_factory=dict)  # by entity and id
    buckets: list[int] = field(default_factory=list)  # of a device
    inbox: list[str] = field(default_factory=list)  # marks of rejected changesets
    told: set[str] = field(default_factory=set)  # marks in the inbox that have lost
    decisions: list[tuple[int, int, int]] = field(default_factory=list)  # device, seq, position
    head: int = 0  # or the device's position

    def table(self, entity: str) -> dict[str, Row]:
        return self.tables.get(entity, {})


@dataclass
class Device:
    """One device's part."""
    number: int
    store: Store = field(default_factory=Store)
    events: list[Union[Transaction, Read]] = field(default_factory=list)  # in its own order
    divergences: int = 0


@dataclass
class Recording:
    """All of it."""
    devices: list[Device]
    server: Store

    def transactions(self) -> list[Transaction]:
        return [event for device in self.devices for event in device.events
                if isinstance(event, Transaction)]


def load(company: Company) -> Recording:
    """Reads what the company has left; nothing runs any more."""
    devices = []
    for one in company.devices:
        device = Device(one.number, read_store(one.store))
        read_history(one.history, device)
        devices.append(device)
    return Recording(devices, read_store(company.server.data / "server.db"))


def read_history(path: pathlib.Path, device: Device) -> None:
    """The events; a transaction keeps the place of its commit."""
    pending: Optional[Transaction] = None
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            name = event["event"]
            if name == "invoke":
                pending = Transaction(device.number, event["number"], event["acts"])
                device.events.append(pending)
            elif name in ("ok", "fail") and pending is not None:
                pending.outcome = name
            elif name == "read":
                device.events.append(Read(event["rows"], event["last"], event["position"]))
                device.divergences = max(device.divergences, event["divergences"])


def read_store(path: pathlib.Path) -> Store:
    """A device's or the server's file, by its documented views where there is one."""
    store = Store()
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        views = [name for name, in database.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'view'")]
        for view in views:
            if view not in PRIVATE_VIEWS:
                # x_key says the same as x.
                columns = ", ".join(row["name"] for row in
                                    database.execute(f"PRAGMA table_info({view})")
                                    if not row["name"].endswith("_key"))
                store.tables[view] = {row["id"]: dict(row) for row in
                                      database.execute(f"SELECT {columns} FROM {view}")}
        if "buckets" in views:
            store.buckets = [row["bucket"] for row in
                             database.execute("SELECT bucket FROM buckets")]
            store.head = database.execute("SELECT position FROM meta").fetchone()[0]
            for body, in database.execute(
                    "SELECT body FROM inbox_item WHERE kind = 'rejected'"):
                store.inbox += rejected_marks(body)
            for mine, in database.execute("SELECT mine FROM inbox WHERE kind = 'superseded'"):
                store.told |= set(MARK.findall(mine or ""))
        else:
            store.head = database.execute("SELECT max(head) FROM org").fetchone()[0]
            store.decisions = [tuple(row) for row in database.execute(
                "SELECT device_no, seq, position FROM decision")]
    return store


def rejected_marks(body: Union[str, bytes]) -> list[str]:
    """The mark of a changeset: that which it has most often (it names others as well)."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    marks = MARK.findall(text)
    return [max(marks, key=marks.count)] if marks else []


def same_key(entity: str, record: str, name: str) -> Key:
    return (entity, record, GROUPS.get(name, name))
