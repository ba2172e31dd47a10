# SPDX-License-Identifier: Apache-2.0
"""What stands when all is at rest.

    no loss         what was acknowledged is in the record, the conflict log or an inbox, or was
                    replaced by somebody who had seen it
    no duplicate    each transaction was decided once and has its effect once
    atomicity       the server has all of a transaction or nothing
    causality       no value stands that somebody replaced who had seen it
    convergence     every device has what the server has in its scope
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from .order import FOREVER, Order, Write
from .prefix import Report
from .recording import Device, Key, Recording, Row, Store, Transaction

CHILDREN = {"visit": ("visit_action", "visit_id"), "order": ("order_line", "order_id")}


def judge_outcome(recording: Recording, order: Order, report: Report) -> None:
    judge_effects(recording, order, report)
    judge_decisions(recording.server, report)
    for key, writes in order.writes.items():
        if key[0] == "quote_line":
            judge_line(recording, order, key, report)
        else:
            judge_register(recording, order, key, writes, report)
    judge_tags(recording, order, report)
    for device in recording.devices:
        judge_replica(device, recording.server, report)


def judge_effects(recording: Recording, order: Order, report: Report) -> None:
    """Each transaction is on the server, or in its device's inbox, or nowhere; never half, never
    twice."""
    visits = recording.server.table("visit")
    marks = Counter(row["feedback"] for row in visits.values())
    inbox = Counter(mark for device in recording.devices for mark in device.store.inbox)
    counts = children_of(recording.server)
    for transaction in recording.transactions():
        mark = transaction.mark
        effects = marks[mark] + inbox[mark]
        if effects > 1:
            report("no duplicate", f"{mark}: {marks[mark]} times on the server, {inbox[mark]} "
                                   "times in the inbox")
        if effects == 0 and transaction.outcome == "ok":
            report("no loss", f"{mark} was acknowledged and is nowhere")
        if effects > 0 and transaction.outcome == "fail":
            report("no duplicate", f"{mark} has an effect although its commit failed")
        for act in transaction.acts:
            if act["act"] in CHILDREN:
                wanted = act["children"] if marks[mark] else 0
                if counts[act["id"]] != wanted:
                    report("atomicity", f"{mark}: {act['act']} {act['id']} has "
                                        f"{counts[act['id']]} of {wanted} children")
    known = {transaction.mark for transaction in recording.transactions()}
    for mark in set(marks) - known:
        report("no duplicate", f"visit {mark} was made by nobody")


def children_of(server: Store) -> Counter:
    """How many child rows each document has."""
    return Counter(row[field] for entity, field in CHILDREN.values()
                   for row in server.table(entity).values())


def judge_decisions(server: Store, report: Report) -> None:
    """Places are dense; each device's changesets were decided once each, without a gap."""
    places = Counter(place for _, _, place in server.decisions if place > 0)
    for place, count in places.items():
        if count > 1:
            report("no duplicate", f"{count} decisions at place {place}")
    by_device: dict[int, list[int]] = {}
    for device, seq, _ in server.decisions:
        by_device.setdefault(device, []).append(seq)
    for device, seqs in by_device.items():
        if len(seqs) != max(seqs) - min(seqs) + 1:
            report("no loss", f"device number {device}: {len(seqs)} decisions for the changesets "
                              f"{min(seqs)} to {max(seqs)}")


def judge_register(recording: Recording, order: Order, key: Key, writes: list[Write],
                   report: Report) -> None:
    """The value that stands, and what became of all others."""
    entity, record, name = key
    row = recording.server.table(entity).get(record)
    if row is None:
        report("no loss", f"{entity} {record} is gone")
        return
    final = row[name]
    if final != order.final(key):
        report("no loss", f"{key} is {final}; by the conflict log it should be "
                          f"{order.final(key)}")
    places = {write.mark: write.place for write in writes}
    replaced = {write.base for write in writes}
    for write in writes:
        if write.mark != final and write.mark not in replaced and \
                not order.is_logged(key, write.mark):
            report("no loss", f"{key}: {write.mark} is nowhere, and nobody who had seen it "
                              "replaced it")
        device, _, number = write.mark.partition("-")
        own_later = any(other.base == write.mark and other.mark.startswith(f"{device}-")
                        for other in writes)
        if order.is_logged(key, write.mark) and not own_later and \
                write.mark not in recording.devices[int(device)].store.told:
            report("no loss", f"{key}: nobody told device {device} that {write.mark} has lost")
        if write.base == final and final is not None and write.seen >= places.get(final, FOREVER):
            report("causality", f"{key} is {final} although {write.mark} replaced it")


def judge_line(recording: Recording, order: Order, key: Key, report: Report) -> None:
    """A line is there unless a delete knew of all that was done to it."""
    _, record, _ = key
    row = recording.server.table("quote_line").get(record)
    writes = order.writes[key]
    deletes = order.deletes.get(record, [])
    knowing = [one for one in deletes if all(knew(one, write) for write in writes)]
    if row is None and not knowing:
        report("no loss", f"line {record} is gone, and no delete had seen all of its edits")
    elif row is not None and knowing:
        report("causality", f"line {record} is there although {knowing[0][0].mark} deleted it")
    elif row is not None:
        seen = {act["base"] for _, act in deletes}
        replaced = {write.base for write in writes} | seen
        for write in writes:
            if write.mark != row["uom"] and write.mark not in replaced and \
                    not order.is_logged(key, write.mark):
                report("no loss", f"line {record}: {write.mark} is nowhere")


def knew(delete: tuple[Transaction, dict[str, Any]], write: Write) -> bool:
    """Whether whoever deleted had seen the write: by the version named, or as their own."""
    transaction, act = delete
    device, _, number = write.mark.partition("-")
    own = int(device) == transaction.device and int(number) <= transaction.number
    return own or write.place <= act["seen"]


def judge_tags(recording: Recording, order: Order, report: Report) -> None:
    """An element is there unless somebody removed it who had seen it."""
    for customer, row in recording.server.table("customer").items():
        tags = row["tags"] or "[]"
        for element in order.elements.get(customer, ()):
            removed = (customer, element) in order.removed
            if f'"{element}"' not in tags and not removed:
                report("no loss", f"customer {customer}: tag {element} is gone")
            if f'"{element}"' in tags and removed:
                report("causality", f"customer {customer}: tag {element} is there although it was "
                                    "removed")
    for customer, element, device in order.vain:
        if not order.is_logged(("customer", customer, "tags"), element):
            report("no loss", f"customer {customer}: device {device} removed tag {element} in "
                              "vain, and nothing tells")


def judge_replica(device: Device, server: Store, report: Report) -> None:
    """Field by field what the server has in the device's buckets, at the head."""
    store = device.store
    if device.divergences:
        report("convergence", f"device {device.number}: its sums have differed from the server's")
    if store.head != server.head:
        report("convergence", f"device {device.number} is at {store.head}, the head is "
                              f"{server.head}")
    buckets = set(store.buckets)
    for entity, rows in server.tables.items():
        visible = {name: row for name, row in rows.items() if row["bucket"] in buckets}
        mine = store.table(entity)
        for name in visible.keys() ^ mine.keys():
            report("convergence", f"device {device.number}: {entity} {name} is only "
                                  f"{'on the server' if name in visible else 'here'}")
        for name in visible.keys() & mine.keys():
            judge_row(device, entity, mine[name], visible[name], report)


def judge_row(device: Device, entity: str, mine: Row, theirs: Row, report: Report) -> None:
    if mine.items() <= theirs.items():
        return
    for column in mine:
        if mine[column] != theirs[column]:
            report("convergence", f"device {device.number}: {entity} {mine['id']} {column} is "
                                  f"{mine[column]!r}, on the server {theirs[column]!r}")
