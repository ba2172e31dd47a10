# SPDX-License-Identifier: Apache-2.0
"""The judge is seen to fail: a history that is right passes, and each that is wrong in one way is
found under the right name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, cast

from . import play
from .company import Company, Failed
from .recording import Read, Recording, Row, Transaction, rejected_marks
from .script import SHOP, right, right_in_vain

Spoil = Callable[[Recording], None]


def reads(recording: Recording, device: int) -> list[Read]:
    return [event for event in recording.devices[device].events if isinstance(event, Read)]


def first_row(read: Read, kind: str) -> Row:
    return next(row for row in read.rows if row["k"] == kind)


def all_tables(recording: Recording, entity: str) -> list[dict[str, Row]]:
    """The entity's tables everywhere, so that all replicas stay equal."""
    return [store.tables[entity] for store in
            [recording.server, *(device.store for device in recording.devices)]]


def everywhere(entity: str, record: str, **fields: Any) -> Spoil:
    """A record says something else, on all replicas; without fields it is gone."""
    def spoil(recording: Recording) -> None:
        for table in all_tables(recording, entity):
            if fields:
                table.setdefault(record, {"id": record, "bucket": 1, "version": 1}).update(fields)
            else:
                del table[record]
    return spoil


def snapshot(device: int, index: int, kind: str, **columns: Any) -> Spoil:
    """A device sees something else in one snapshot; without columns it misses the row."""
    def spoil(recording: Recording) -> None:
        read = reads(recording, device)[index]
        row = first_row(read, kind)
        if columns:
            row.update(columns)
        else:
            read.rows.remove(row)
    return spoil


def transaction(device: int, number: int, **members: Any) -> Spoil:
    def spoil(recording: Recording) -> None:
        for one in recording.transactions():
            if (one.device, one.number) == (device, number):
                for name, value in members.items():
                    setattr(one, name, value)
    return spoil


def more(device: int, outcome: str) -> Spoil:
    """A transaction that has no effect anywhere."""
    return lambda recording: recording.devices[device].events.append(
        Transaction(device, 9, [{"act": "visit", "id": "v9", "customer": SHOP, "children": 1}],
                    outcome))


def swap_reads(device: int, one: int, other: int) -> Spoil:
    def spoil(recording: Recording) -> None:
        first, second = reads(recording, device)[one], reads(recording, device)[other]
        first.rows, second.rows = second.rows, first.rows
        for read in (first, second):
            read.rows.remove(first_row(read, "o"))  # its state has a test of its own
    return spoil


def swap_places(recording: Recording) -> None:
    """1-1 gets its place before 0-1, which it had read."""
    for table in all_tables(recording, "visit"):
        table["v0-1"]["version"], table["v1-1"]["version"] = 2, 1


def server(**members: Any) -> Spoil:
    return lambda recording: [setattr(recording.server, name, value)
                              for name, value in members.items()] and None


def store(device: int, **members: Any) -> Spoil:
    return lambda recording: [setattr(recording.devices[device].store, name, value)
                              for name, value in members.items()] and None


def only_here(recording: Recording) -> None:
    recording.devices[1].store.tables["quote"]["q"]["note"] = "1-2"


def missing_here(recording: Recording) -> None:
    del recording.devices[1].store.tables["visit_action"]["v0-1.0"]


def diverged(recording: Recording) -> None:
    recording.devices[0].divergences = 1


DECISIONS = [(1, 1, 1), (2, 1, 2), (1, 2, 3), (2, 2, 4), (1, 3, 5)]
WRONG: list[tuple[str, str, Spoil]] = [
    ("no loss", "acknowledged and nowhere", more(0, "ok")),
    ("no loss", "a value that lost and is not in the log", everywhere("field_conflict", "x")),
    ("no loss", "a value that lost, and its author is not told", store(0, told=set())),
    ("no loss", "a value that stands nowhere", everywhere("customer", SHOP, prefs=None)),
    ("no loss", "a tag that nobody removed is gone", everywhere("customer", SHOP, tags="[]")),
    ("no loss", "a line that nobody deleted is gone", everywhere("quote_line", "l")),
    ("no loss", "a changeset without a decision",
     server(decisions=[one for one in DECISIONS if one != (1, 2, 3)])),
    ("no duplicate", "a visit that is there twice",
     everywhere("visit", "v0-1 again", feedback="0-1")),
    ("no duplicate", "a visit that nobody made", everywhere("visit", "v", feedback="0-9")),
    ("no duplicate", "a commit that failed and has an effect", transaction(0, 2, outcome="fail")),
    ("no duplicate", "accepted and rejected", store(0, inbox=["0-2"])),
    ("no duplicate", "two decisions at one place", server(decisions=[*DECISIONS, (2, 3, 5)])),
    ("atomicity", "half a visit, on another device", snapshot(1, 0, "v", b=1)),
    ("atomicity", "half an address", snapshot(1, 0, "c", f=None)),
    ("atomicity", "half a line", snapshot(1, 2, "l", b=1000)),
    ("atomicity", "a quote without the lines in its total", snapshot(1, 2, "q", c=0)),
    ("atomicity", "half an order", snapshot(1, 2, "o", b=1)),
    ("atomicity", "a transaction's name without its tag", snapshot(0, 1, "c", g="[]")),
    ("atomicity", "a transaction's tag without its name", snapshot(0, 1, "c", a="0-1")),
    ("atomicity", "the server has half a visit", everywhere("visit_action", "v0-1.0")),
    ("read your writes", "the own name is not there", snapshot(0, 0, "c", a=None)),
    ("read your writes", "the own visit is not there", snapshot(0, 0, "v")),
    ("monotonic reads", "an older snapshot after a newer one", swap_reads(0, 1, 2)),
    ("monotonic reads", "a position that goes back",
     lambda recording: setattr(reads(recording, 1)[3], "position", 1)),
    ("monotonic reads", "an order that goes back", snapshot(0, 4, "o", a="draft")),
    ("writes follow reads", "a transaction before what it had read", swap_places),
    ("causality", "what came later without what came before", snapshot(1, 3, "c", a="0-1")),
    ("causality", "a value that nobody wrote", snapshot(1, 0, "c", a="0-8")),
    ("causality", "a visit that nobody made", snapshot(1, 0, "v", a="0-8")),
    ("causality", "a visit that is missing in the count", snapshot(1, 3, "n", a=2)),
    ("causality", "a value that was replaced stands", everywhere("customer", SHOP, kind="0-1")),
    ("causality", "a tag that nobody added", snapshot(1, 0, "c", g='["0-8"]')),
    ("convergence", "another value on one device", only_here),
    ("convergence", "a record less on one device", missing_here),
    ("convergence", "a device behind the head", store(1, head=4)),
    ("convergence", "sums that differed", diverged),
]


def never_rests() -> bool:
    """A device that does not settle fails the run."""
    device = SimpleNamespace(number=0, tell=lambda line: None, check=lambda: None,
                             wait_for=lambda event, until: False)
    try:
        play.come_to_rest(cast(Company, SimpleNamespace(devices=[device])))
    except Failed:
        return True
    return False


def self_test() -> int:
    faults = []
    for recording in (right(), right_in_vain()):
        wrong, _ = play.judge(recording)
        if wrong:
            faults.append(f"a history that is right: {wrong}")
    for name, what, spoil in WRONG:
        recording = right()
        spoil(recording)
        found = {one for one, _ in play.judge(recording)[0]}
        if name not in found:
            faults.append(f"{what}: {sorted(found) or 'nothing'} instead of \"{name}\"")
    if not never_rests():
        faults.append("a device that never comes to rest")
    if rejected_marks('{"x":"0-1","feedback":"0-2","note":"0-2"}') != ["0-2"]:
        faults.append("the mark of a rejected changeset")
    print("".join(f"not found: {fault}\n" for fault in faults)
          + f"{len(WRONG) + 4 - len(faults)} of {len(WRONG) + 4} checks of the judge passed")
    return 1 if faults else 0
