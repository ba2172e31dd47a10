#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A reference model of how Daybook decides, written from the documents alone.

It reads scenarios as JSON lines (steps of two devices, and what came out of the real engines and
the real server), works out from the written semantics what must come out, and compares.

    reference.py [--show N] FILE...        compare; prints the first N scenarios that differ
    reference.py --explain ID FILE...      how the model decides one scenario, step by step
    reference.py --self-test               worked examples of the documents, against the model

Exit code 1 if any scenario differs, 2 if a file cannot be read. FILE `-` is the standard input.

Sources: the design pages (sync.md, domain.md section 4), PROTOCOL.md sections 6, 14 and 15,
docs/deciding.md, and the departures in ARCHITECTURE.md. Where they leave a question open, a comment
"open:" says so, with the rule that is taken here.

Not modelled, and counted as such where a scenario does it: orders, and two who send one quote. Not
modelled at all: twins and redirects, answers to proposals, GROW and DERIVED fields, holds, scopes
and handover, wrong clocks.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator, Optional

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "engine" / "protocol" / "entities.def"
PROTOCOL = ROOT / "engine" / "protocol" / "PROTOCOL.md"

NUMBERS_AS_TEXT = {"MONEY", "PRICE", "QUANTITY", "TIME"}
DEVICE_NO = {"server": 0, "a": 1, "b": 2}     # for ties of stamps; here all stamps differ


# --- The tables ----------------------------------------------------------------------------------

@dataclass
class Field:
    name: str
    type: str
    policy: str
    group: int = 0
    required: bool = False
    states: list[str] = field(default_factory=list)     # of CHOICE fields, by rank


@dataclass
class Entity:
    name: str
    fields: dict[str, Field]
    parent: Optional[str] = None        # the field that names the document of a line

    def unit(self, name: str) -> str:
        """What a field merges with: its group, or itself alone."""
        group = self.fields[name].group
        return f"#{group}" if group else name

    def content(self, name: str) -> bool:
        """What of a document stands once it has been sent: its fields under LATEST and SET."""
        return name.startswith("custom.") or self.fields[name].policy in ("LATEST", "SET")

    def members(self, unit: str) -> list[str]:
        """The fields of a unit that devices send, in the order of the table."""
        if not unit.startswith("#"):
            return [unit]
        return [f.name for f in self.fields.values()
                if f.group == int(unit[1:]) and f.policy not in ("SERVER", "DERIVED")]


@dataclass
class Edge:
    start: str
    end: str
    who: set[str]
    down: bool


class Unmodelled(Exception):
    """The scenario does what this model leaves out."""


def arguments(row: str) -> list[str]:
    return [part.strip() for part in row[row.index("(") + 1:row.rindex(")")].split(",")]


def read_entities(text: str) -> dict[str, Entity]:
    entities: dict[str, Entity] = {}
    symbol, parent_symbol = "", ""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for row in re.findall(r"^\s*(?:ENTITY|FIELD)\(.*\)\s*$", text, flags=re.M):
        arg = arguments(row)
        if row.lstrip().startswith("ENTITY"):
            symbol, parent_symbol = arg[0], arg[5]
            entity = entities[arg[1]] = Entity(arg[1], {"custom": Field("custom", "MAP", "LATEST")})
        else:
            entity.fields[arg[2]] = Field(arg[2], arg[3], arg[4], int(arg[5]), "REQUIRED" in arg[6])
            if f"{symbol}_{arg[1]}" == parent_symbol:
                entity.parent = arg[2]
    return entities


def read_protocol(text: str, entities: dict[str, Entity]) -> dict[str, list[Edge]]:
    """The texts of CHOICE fields (their order is their rank) and the state machines, section 15."""
    current = None
    machines: dict[str, list[Edge]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("### "):
            current = entities.get(line[4:].strip("` "))
        elif current and len(cells) > 2 and cells[1].startswith("CHOICE:"):
            current.fields[cells[0].strip("`")].states = re.findall(r"`(\w+)`", cells[1])
        elif len(cells) == 7 and cells[0].strip("`") in entities and cells[1].startswith("`"):
            names = [cell.strip("`") for cell in cells[:3]]
            who = set(re.findall(r"\w", cells[3]))
            machines.setdefault(names[0], []).append(
                Edge(names[1], names[2], who, cells[5] == "down"))
    return machines


ENTITIES = read_entities(TABLE.read_text(encoding="utf-8"))
MACHINES = read_protocol(PROTOCOL.read_text(encoding="utf-8"), ENTITIES)


def roles_of(role: str) -> set[str]:
    """A manager may do all that a rep may; the back office has only its own steps."""
    return {"rep": {"R"}, "manager": {"R", "M"}, "back_office": {"B"}}[role]


# --- Values --------------------------------------------------------------------------------------

def canonical(value: Any, kind: str) -> Any:
    """Equal values become equal: 64-bit numbers from text, sets sorted, empty is None."""
    if kind in NUMBERS_AS_TEXT and isinstance(value, str):
        return int(value)
    if kind == "SET" and isinstance(value, list):
        return sorted(value) or None
    if kind == "MAP" and isinstance(value, dict):
        return value or None
    return value


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


# --- What the server keeps -----------------------------------------------------------------------

@dataclass
class Written:
    """Who wrote a unit last. A step's index in the scenario is its stamp."""
    pos: int
    dev: str
    stamp: int

    def order(self) -> tuple[int, int]:
        return (self.stamp, DEVICE_NO[self.dev])


@dataclass
class Mark:
    """An addition, a removal or an edit: it happened at a position, by a device."""
    pos: int
    dev: str


@dataclass
class Step:
    pos: int
    dev: str
    stamp: int
    epoch: int
    rank: int
    saw_peak: Optional[int] = None      # of a step down: the peak that its author saw
    first: bool = False                 # the record's first state, which everybody has seen


@dataclass
class Tomb:
    pos: int
    dev: str
    on_its_own: bool                    # not (only) with its document


@dataclass
class Record:
    name: str
    entity: Entity
    values: dict[str, Any] = field(default_factory=dict)
    written: dict[str, Written] = field(default_factory=dict)             # by unit
    additions: dict[tuple[str, str], list[Mark]] = field(default_factory=dict)
    removals: dict[tuple[str, str], list[Mark]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    edits: list[Mark] = field(default_factory=list)     # of a document: also those of its lines
    tomb: Optional[Tomb] = None


@dataclass
class Change:
    """One operation: a changeset, as the device made it."""
    index: int                          # of the step; its stamp
    who: str
    do: str
    record: str
    values: dict[str, Any]              # groups are whole
    seen: int
    lines: list[str] = field(default_factory=list)      # a document's lines that go with it
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)      # `sent_copy`, of a quote
    verdict: str = ""


class Rejected(Exception):
    pass


class Server:
    def __init__(self, kinds: dict[str, str], role: str) -> None:
        self.kinds = kinds
        self.roles = {"a": "rep", "b": role}
        self.records: dict[str, Record] = {}
        self.position = 0
        self.conflicts: list[dict[str, Any]] = []
        self.proposals: list[dict[str, Any]] = []
        self.trace: list[str] = []
        self.revisions: dict[str, dict[str, str]] = {}      # of a quote: its records, their copies

    # -- Deciding one changeset

    def decide(self, change: Change) -> None:
        """PROTOCOL.md section 14; all of it applies or nothing."""
        self.merged = False
        before = (copy.deepcopy(self.records), len(self.conflicts), len(self.proposals)) \
            if self.kinds.get(change.record) == "opportunity" else None
        try:
            self.position += 1
            document = self.standing_document(change)
            if document:
                self.fork(document, change)
            else:
                self.apply(change)
            change.verdict = "merged" if self.merged else "accepted"
        except Rejected as why:
            self.position -= 1
            change.verdict = "rejected"
            self.say(f"refused: {why}")
            if before:      # only this entity is checked after merging; the others before
                self.records = before[0]
                del self.conflicts[before[1]:], self.proposals[before[2]:]

    def apply(self, change: Change) -> None:
        {"new": self.create, "set": self.edit, "delete": self.delete}[change.do](change)

    def say(self, text: str) -> None:
        self.trace.append(f"    {text}")

    def note(self, record: str, name: str, kept: Any, lost: Any, kept_dev: str,
             lost_dev: str) -> None:
        """An entry of the conflict log; the changeset that makes one is merged."""
        self.merged = True
        self.conflicts.append({"record": record, "field": name, "kept": kept, "lost": lost,
                               "kept_dev": kept_dev, "lost_dev": lost_dev})
        self.say(f"conflict on {record}.{name}: {as_json(kept)} of {kept_dev} stands, "
                 f"{as_json(lost)} of {lost_dev} is noted")

    @staticmethod
    def unseen(mark: Any, change: Change) -> bool:
        """Written behind what the author had seen, and by somebody else."""
        return mark.pos > change.seen and mark.dev != change.who

    # -- Records

    def create(self, change: Change) -> None:
        entity = ENTITIES[self.kinds[change.record]]
        if change.record in self.records:
            raise Rejected("EXISTS")
        record = Record(change.record, entity)
        self.check(record, change)
        self.check_references(entity, change)
        for f in entity.fields.values():
            if f.policy == "STATE":
                state = change.values.get(f.name) or f.states[0]
                self.first_step(record, f, state, change)
        self.check_rules(record.entity, {**record.values, **change.values})
        self.records[change.record] = record
        self.touch(record, change)
        for unit in {entity.unit(name) for name in entity.fields}:
            record.written[unit] = Written(self.position, change.who, change.index)
        for name, value in change.values.items():
            kind = entity.fields[name].type
            if kind == "MAP":
                record.values.update({f"{name}.{key}": v for key, v in (value or {}).items()})
            elif kind == "SET":
                for element in self.elements(value, "add"):
                    record.additions[name, element] = [Mark(self.position, change.who)]
            elif entity.fields[name].policy != "STATE":
                record.values[name] = canonical(value, kind)
        self.fill(record)

    @staticmethod
    def fill(record: Record) -> None:
        """What the server fills at creation, of what scenarios look at."""
        entity = record.entity
        if entity.name == "customer" and record.values.get("status") is None:
            record.values["status"] = entity.fields["status"].states[0]
        if entity.name == "quote" and record.values.get("rev") is None:
            record.values["rev"] = 1

    def check_references(self, entity: Entity, change: Change) -> None:
        for name, value in change.values.items():
            target = self.records.get(value) if entity.fields[name].type == "ID" else None
            if entity.fields[name].type == "ID" and value in self.kinds and target is None:
                raise Rejected("REF_MISSING or DEPENDS: it is not there")
            if target and target.tomb and not (name == entity.parent
                                               and self.unseen(target.tomb, change)):
                raise Rejected("REF_MISSING: it is deleted")

    def lines_of(self, document: Record) -> list[Record]:
        return [r for r in self.records.values()
                if r.entity.parent and r.values.get(r.entity.parent) == document.name]

    def touch(self, record: Record, change: Change) -> None:
        """An edit revives what was deleted unseen; one of a line is an edit of its document.

        open: whether an edit counts that changes nothing (the value that stands already, a
        proposal). Here it does: its author works on the record, and only fields under SERVER and
        DERIVED are said to be no edit.
        """
        mark = Mark(self.position, change.who)
        parent = record.entity.parent
        document = self.records.get(change.values.get(parent) or record.values.get(parent)) \
            if parent else None
        if document:
            document.edits.append(mark)
        record.edits.append(mark)
        if record.tomb:
            self.revive(record, change)
        if document and document.tomb:
            self.revive(document, change)

    def revive(self, record: Record, change: Change) -> None:
        """Edit wins against delete; a document comes back with its lines.

        open: on which records the entry `*` stands where a document comes back, and its values.
        Here: on the document, and on a line that was itself edited; not on lines that come back
        with it. The values are the words "edit" and "delete": the documents name none.
        """
        self.note(record.name, "*", "edit", "delete", change.who, record.tomb.dev)
        record.tomb = None
        self.say(f"{record.name} is revived")
        for line in self.lines_of(record):
            if line.tomb and not line.tomb.on_its_own:
                line.tomb = None
                self.say(f"{line.name} comes back with {record.name}")

    def delete(self, change: Change) -> None:
        record = self.records.get(change.record)
        if record is None:
            raise Rejected("REF_MISSING or DEPENDS: it is not there")
        # Each delete is compared with each edit: it stands only where nobody else edited unseen.
        # open: whether an edit still counts whose own author deleted the record afterwards. Here it
        # does, for the text knows only "concurrent edit and delete". It is the same in any order.
        editor = self.editor(record, change)
        if record.tomb:
            self.delete_again(record, change, editor)
        elif editor:
            self.note(change.record, "*", "edit", "delete", editor, change.who)
            for line in map(self.records.get, change.lines):
                line_editor = line and not line.tomb and self.editor(line, change)
                if line_editor:
                    self.note(line.name, "*", "edit", "delete", line_editor, change.who)
        else:
            record.tomb = Tomb(self.position, change.who, True)
            self.say(f"{record.name} is deleted")
            for line in map(self.records.get, change.lines):
                if line and not line.tomb:
                    line.tomb = Tomb(self.position, change.who, False)
                    self.say(f"{line.name} goes with it")

    def delete_again(self, record: Record, change: Change, editor: Optional[str]) -> None:
        """It is deleted already: accepted. Where a line went with its document, this says that it
        was to go on its own, too, and it stays away when the document comes back.

        open: the verdict where such a delete meets an edit while the document is gone. Here
        accepted and without an entry, for nothing is seen to stand or lose.
        """
        self.say(f"{record.name} is deleted already")
        if record.entity.parent and not editor:
            record.tomb.on_its_own = True

    def editor(self, record: Record, change: Change) -> Optional[str]:
        """Who edited the record (or a line of it), unseen by the author of the delete."""
        editors = [mark.dev for mark in record.edits if self.unseen(mark, change)]
        return editors[-1] if editors else None

    # -- Fields

    def edit(self, change: Change) -> None:
        record = self.records.get(change.record)
        if record is None:
            raise Rejected("REF_MISSING or DEPENDS: it is not there")
        if record.tomb and not self.unseen(record.tomb, change):
            raise Rejected("REF_MISSING: the delete had been seen")
        self.check(record, change)
        self.check_references(record.entity, change)
        self.touch(record, change)
        for unit, names in self.units(record.entity, change):
            policy = record.entity.fields[names[0]].policy
            getattr(self, f"merge_{policy.lower()}")(record, unit, names, change)
        self.check_rules(record.entity, record.values)

    @staticmethod
    def check_rules(entity: Entity, values: dict[str, Any]) -> None:
        """The one rule of PROTOCOL.md section 15 that a merge of valid changes can break: all
        others speak of one unit, which comes whole from an author whose device has checked it.
        """
        if entity.name == "opportunity" and values.get("status") == "lost" \
                and not values.get("lost_reason"):
            raise Rejected("RULE reason: lost needs a lost_reason")

    @staticmethod
    def units(entity: Entity, change: Change) -> Iterator[tuple[str, list[str]]]:
        done = set()
        for name in change.values:
            unit = entity.unit(name)
            if unit not in done:
                done.add(unit)
                yield unit, [n for n in entity.members(unit) if n in change.values]

    def check(self, record: Record, change: Change) -> None:
        """What can be refused before anything is merged."""
        for name, value in change.values.items():
            f = record.entity.fields.get(name)
            if f is None:
                raise Rejected(f"SCHEMA: no field {name}")
            if f.policy in ("SERVER", "DERIVED"):
                raise Rejected(f"READONLY: {name}")
            if f.policy == "GROW":
                raise Unmodelled(f"policy {f.policy} of {name}")
            if f.required and value is None:
                raise Rejected(f"REQUIRED: {name}")
            if f.policy == "STATE" and change.do == "set":
                self.next_step(record, f, value, change)
            if f.policy == "IMMUTABLE" and change.do == "set" \
                    and record.values.get(name) != canonical(value, f.type):
                raise Rejected(f"IMMUTABLE: {name}")

    def take(self, record: Record, unit: str, values: dict[str, Any], change: Change) -> None:
        record.values.update(values)
        record.written[unit] = Written(self.position, change.who, change.index)

    def keep_later(self, record: Record, unit: str, change: Change) -> None:
        """The same value given again.

        open: who has written it then, and when. Here the later of the two, by stamp: otherwise a
        third change would fall between them in one order of arrival and not in another.
        """
        new = Written(self.position, change.who, change.index)
        old = record.written.get(unit)
        if old is None or new.order() > old.order():
            record.written[unit] = new

    def merge_latest(self, record: Record, unit: str, names: list[str], change: Change) -> None:
        if record.entity.fields[names[0]].type == "MAP":
            for key, value in (change.values[names[0]] or {}).items():
                self.latest(record, f"{names[0]}.{key}", {f"{names[0]}.{key}": value}, change)
        else:
            self.latest(record, unit, self.given(record, names, change), change)

    @staticmethod
    def given(record: Record, names: list[str], change: Change) -> dict[str, Any]:
        return {n: canonical(change.values[n], record.entity.fields[n].type) for n in names}

    def latest(self, record: Record, unit: str, given: dict[str, Any], change: Change) -> None:
        stored = {name: record.values.get(name) for name in given}
        written = record.written.get(unit)
        if stored == given:
            self.keep_later(record, unit, change)
        elif written is None or not self.unseen(written, change):
            self.take(record, unit, given, change)
        elif (change.index, DEVICE_NO[change.who]) > written.order():
            self.lose(record, given, stored, change.who, written.dev)
            self.take(record, unit, given, change)
        else:
            self.lose(record, stored, given, written.dev, change.who)

    def lose(self, record: Record, kept: dict[str, Any], lost: dict[str, Any], kept_dev: str,
             lost_dev: str) -> None:
        """One entry for each field of the unit that differs."""
        for name, value in lost.items():
            if value != kept[name]:
                self.note(record.name, name, kept[name], value, kept_dev, lost_dev)

    def merge_immutable(self, record: Record, unit: str, names: list[str], change: Change) -> None:
        pass    # the same value; another has been refused

    def merge_min(self, record: Record, unit: str, names: list[str], change: Change) -> None:
        self.extreme(record, unit, names, change, -1)

    def merge_max(self, record: Record, unit: str, names: list[str], change: Change) -> None:
        self.extreme(record, unit, names, change, 1)

    def extreme(self, record: Record, unit: str, names: list[str], change: Change,
                sign: int) -> None:
        """MIN and MAX, by the first field of the group; also for who had seen what is stored.

        Clocks are right here, so no value is doubtful.
        """
        given = self.given(record, names, change)
        stored = {name: record.values.get(name) for name in names}
        first = record.entity.members(unit)[0]
        worth = [(v is not None, sign * v if v is not None else 0)
                 for v in (given[first], stored[first])]
        if worth[0] == worth[1]:
            self.latest(record, unit, given, change)
        elif worth[0] < worth[1]:
            self.lose(record, stored, given, record.written[unit].dev, change.who)
        else:
            if self.unseen(record.written[unit], change):
                self.lose(record, given, stored, change.who, record.written[unit].dev)
            self.take(record, unit, given, change)

    # -- Sets

    @staticmethod
    def elements(value: Any, side: str) -> list[str]:
        """A record is made with whole sets; a change of one has two sides."""
        if isinstance(value, dict):
            return value.get(side) or []
        return (value or []) if side == "add" else []

    def merge_set(self, record: Record, unit: str, names: list[str], change: Change) -> None:
        """An element is there as long as some addition of it was seen by no removal.

        Each element is in conflict as a field is: only where it is otherwise than the change says.
        So an addition is not noted against a removal where the element is there (again) already.
        open: whether removals count that found nothing to remove. Here they do: an addition that
        had not seen one meets it, "in either order of arrival". One entry for each change and side
        has all its elements.
        """
        name, value = unit, change.values[unit]
        mark = Mark(self.position, change.who)
        beaten, beating = [], []
        for element in self.elements(value, "remove"):
            left = [m for m in record.additions.get((name, element), []) if self.unseen(m, change)]
            record.additions[name, element] = left
            record.removals.setdefault((name, element), []).append(mark)
            if left:
                beaten.append((element, left[-1].dev))
        for element in self.elements(value, "add"):
            there = record.additions.setdefault((name, element), [])
            other = [m for m in record.removals.get((name, element), []) if self.unseen(m, change)]
            if other and not there:
                beating.append((element, other[-1].dev))
            there.append(mark)
        for found, stands in ((beaten, False), (beating, True)):
            if found:
                names, devs = sorted(e for e, _ in found), (change.who, found[0][1])
                self.note(record.name, name, {"add": names}, {"remove": names},
                          *(devs if stands else devs[::-1]))

    # -- Proposals

    def merge_propose(self, record: Record, unit: str, names: list[str], change: Change) -> None:
        """Who may decide writes by LATEST; a rep's value becomes a proposal, conflict or not."""
        if self.roles[change.who] in ("manager", "back_office"):
            self.latest(record, unit, self.given(record, names, change), change)
            return
        for name, value in self.given(record, names, change).items():
            base = record.values.get(name)
            if value == base:
                # open: a rep gives what somebody else has put there meanwhile: no proposal and
                # accepted; the other way round it is one. So it matters who comes first.
                self.say(f"{record.name}.{name} has that value already: no proposal")
                continue
            self.merged = True
            self.proposals.append({"record": record.name, "field": name, "base": base,
                                   "proposed": value, "by": change.who, "status": "open"})
            self.say(f"{as_json(value)} for {record.name}.{name} becomes a proposal")

    # -- States

    def first_step(self, record: Record, f: Field, state: str, change: Change) -> None:
        """A record begins in its first state, or where its maker could have brought it."""
        start = f.states[0]
        if state != start and not self.path(record.entity, f, start, state, change.who):
            raise Rejected("TRANSITION: not a state to begin in")
        record.steps = [Step(self.position, change.who, change.index, 0, f.states.index(state),
                             first=True)]
        record.values[f.name] = state
        self.check_content(record.entity)

    @staticmethod
    def check_content(entity: Entity) -> None:
        if entity.name == "sales_order":
            raise Unmodelled("content of orders")

    @staticmethod
    def peaks(steps: list[Step]) -> tuple[int, int]:
        """The last valid epoch and its peak: domain.md section 4.

        open: whether the peak against which a reopening is held ("that one's peak as it is now")
        has in it the steps up of void epochs. Here it has not while the next epoch is judged: the
        peak is that of the epoch's own steps. Either way such a step up stands, in whichever epoch
        it counts: so what was won in a void epoch cannot be opened again, also by who has seen it.
        """
        epoch = 0
        while True:
            peak = max(s.rank for s in steps if s.epoch == epoch)
            openers = [s for s in steps if s.epoch == epoch + 1 and s.saw_peak is not None]
            if not any(s.saw_peak == peak for s in openers):
                break
            epoch += 1
        ups = [s.rank for s in steps if s.epoch > epoch and s.saw_peak is None]
        return epoch, max([peak] + ups)

    def path(self, entity: Entity, f: Field, start: str, end: str, who: str) -> bool:
        """Several steps up, each in the table and each the author's to take."""
        reached, found = {start}, True
        while found:
            found = False
            for edge in MACHINES.get(entity.name, []):
                if edge.start in reached and edge.end not in reached and not edge.down \
                        and edge.who & roles_of(self.roles[who]) \
                        and f.states.index(edge.end) > f.states.index(edge.start):
                    reached.add(edge.end)
                    found = True
        return end in reached

    def next_step(self, record: Record, f: Field, state: str, change: Change) -> Optional[Step]:
        """The step from what the author saw, or None where that is the state already."""
        self.check_content(record.entity)
        if state not in f.states:
            raise Rejected("TRANSITION step: no such state")
        view = [s for s in record.steps if s.first or not self.unseen(s, change)]
        epoch, peak = self.peaks(view)
        start, rank = f.states[peak], f.states.index(state)
        if rank == peak:
            return None
        if rank > peak and self.path(record.entity, f, start, state, change.who):
            return Step(self.position, change.who, change.index, epoch, rank)
        for edge in MACHINES.get(record.entity.name, []):
            if edge.down and (edge.start, edge.end) == (start, state) \
                    and edge.who & roles_of(self.roles[change.who]):
                return Step(self.position, change.who, change.index, epoch + 1, rank, saw_peak=peak)
        raise Rejected(f"TRANSITION: no step from {start} to {state} for {self.roles[change.who]}")

    def merge_state(self, record: Record, unit: str, names: list[str], change: Change) -> None:
        """The state is a function of the set of steps; what loses is noted.

        open: what it is to say again what was seen. Here no step, but a value that is in conflict
        as any other where somebody else has stepped on, unseen.
        open: who holds a state to which two stepped. Here the later, by stamp.
        open: whether a state is noted through which the other's step would have gone anyway
        (in_progress, against completed from planned). Here it is: it differs and was not seen.
        """
        f = record.entity.fields[unit]
        wanted = change.values[unit]
        old, holder = record.values[unit], self.holder(record)
        step = self.next_step(record, f, wanted, change)
        if step is None:
            self.say(f"{record.name} was seen {wanted}: no step")
            if old != wanted and self.unseen(holder, change):
                self.note(record.name, unit, old, wanted, holder.dev, change.who)
            return
        states = f.states if record.entity.name == "quote" else []
        sends = wanted in states and states.index(wanted) >= states.index("sent")
        if sends and states.index(old) >= states.index("sent") and self.unseen(holder, change) \
                and self.is_sending(record, f, change):
            raise Unmodelled("two send one quote")
        record.steps.append(step)
        new = record.values[unit] = f.states[self.peaks(record.steps)[1]]
        self.say(f"{record.name} steps to {wanted} in epoch {step.epoch}: {new}")
        if sends and old in states[:states.index("sent")]:
            self.send(record, change)
        if new != wanted:
            self.note(record.name, unit, new, wanted, self.holder(record).dev, change.who)
        elif old != new and self.unseen(holder, change):
            self.note(record.name, unit, new, old, change.who, holder.dev)

    def is_sending(self, record: Record, f: Field, change: Change) -> bool:
        """A step to where content stands, from where it did not."""
        view = [s for s in record.steps if s.first or not self.unseen(s, change)]
        return self.peaks(view)[1] < f.states.index("sent")

    def holder(self, record: Record) -> Step:
        epoch, peak = self.peaks(record.steps)
        holders = [s for s in record.steps if s.rank == peak
                   and (s.epoch == epoch or s.epoch > epoch and s.saw_peak is None)]
        return max(holders, key=lambda s: (s.stamp, DEVICE_NO[s.dev]))

    # -- Content that stands: quotes

    def standing_document(self, change: Change) -> Optional[Record]:
        """The quote whose content stands and which the change, of content, speaks of."""
        record = self.records.get(change.record)
        entity = ENTITIES[self.kinds[change.record]]
        if entity.name == "quote":
            document = record if change.do == "set" and any(map(entity.content, change.values)) \
                else None   # who deletes it unseen deletes it against an edit, the step
        else:
            parent = entity.parent and (change.values.get(entity.parent)
                                        or record and record.values.get(entity.parent))
            document = self.records.get(parent)
        if document is None or document.entity.name != "quote" or document.tomb:
            return None
        states = document.entity.fields["status"].states
        if states.index(document.values["status"]) < states.index("sent"):
            return None
        view = [s for s in document.steps if s.first or not self.unseen(s, change)]
        if self.peaks(view)[1] >= states.index("sent"):
            raise Rejected("RULE frozen: it had been seen")
        return document

    def fork(self, document: Record, change: Change) -> None:
        """An edit of what has been sent, by who did not know, goes to the next revision."""
        copies = self.revision(document)
        there = copy.copy(change)
        there.record = copies.get(change.record, "")
        if change.do == "new":
            there.record = self.name_line(copies)
            there.values = {**change.values, "quote_id": copies[document.name]}
        elif change.do == "set" and change.record == document.name:
            content = {n: v for n, v in change.values.items() if document.entity.content(n)}
            rest = {n: v for n, v in change.values.items() if n not in content}
            there.values = content
            if rest:
                here = copy.copy(change)
                here.values = rest
                self.edit(here)
        if there.record:
            self.apply(there)
        self.note_revision(document, copies, self.holder(document).dev, change.who)
        self.merged = True

    def note_revision(self, document: Record, copies: dict[str, str], kept_dev: str,
                      lost_dev: str) -> None:
        """"For each device whose work went there": one, however many changes that device made.

        open: whether each of several changesets of one device has an entry. Here not.
        """
        name = copies[document.name]
        lost = {"id": name, "rev": self.records[name].values["rev"]}
        if not any(c["record"] == document.name and c["field"] == "revision"
                   and c["lost"] == lost and c["lost_dev"] == lost_dev for c in self.conflicts):
            state = document.values["status"]
            self.note(document.name, "revision", state, lost, kept_dev, lost_dev)

    def revision(self, document: Record) -> dict[str, str]:
        """The one draft in which all meet, made of the quote and its lines as they are now. What
        was written where, and by whom, goes along: in the draft all merges as it would have here.
        """
        if document.name not in self.revisions:
            number = document.values["rev"] + 1
            copies = self.revisions[document.name] = {document.name: f"R{number}"}
            self.copy_record(document, copies[document.name], "quote")
            draft = self.records[copies[document.name]]
            draft.values.update(rev=number, status="draft", revision_of=document.name)
            draft.steps = [Step(self.position, "server", 0, 0, 0, first=True)]
            for line in self.lines_of(document):
                if not line.tomb:
                    copies[line.name] = self.name_line(copies)
                    self.copy_record(line, copies[line.name], "quote_line")
                    self.records[copies[line.name]].values["quote_id"] = draft.name
            self.say(f"revision {draft.name} of {document.name}")
        return self.revisions[document.name]

    def name_line(self, copies: dict[str, str]) -> str:
        """Names are the program's: L, the revision's number, a letter."""
        stem = "L" + next(iter(copies.values()))[1:]
        name = stem + chr(ord("a") + sum(other.startswith(stem) for other in self.records))
        self.kinds[name] = "quote_line"
        return name

    def copy_record(self, record: Record, name: str, kind: str) -> None:
        made = self.records[name] = copy.deepcopy(record)
        made.name, made.entity, self.kinds[name] = name, record.entity, kind

    def send(self, document: Record, change: Change) -> None:
        """A quote is sent as its sender had it; what it was otherwise is the next revision."""
        sent = change.shown
        now = {r.name: r for r in [document] + self.lines_of(document) if not r.tomb}
        same = {name: self.content(r.entity, r.values) for name, r in now.items()} == {
            name: self.content(ENTITIES[self.kinds[name]], values) for name, values in sent.items()}
        if same:
            return
        copies = self.revision(document)
        other = "b" if change.who == "a" else "a"
        for line in self.lines_of(document):
            if line.name not in sent and not line.tomb:
                line.tomb = Tomb(self.position, change.who, True)
        for name, values in sent.items():
            record = self.records[name]
            record.tomb = None
            kept = {n: v for n, v in record.values.items() if not record.entity.content(n)}
            for n, v in self.content(record.entity, values).items():
                kept[n] = v
                if record.values.get(n) != v:
                    unit = n if n.startswith("custom.") else record.entity.unit(n)
                    record.written[unit] = Written(self.position, change.who, change.index)
            record.values = kept
        self.say(f"{document.name} is put back to what {change.who} sent")
        self.note_revision(document, copies, change.who, other)

    @staticmethod
    def content(entity: Entity, values: dict[str, Any]) -> dict[str, Any]:
        content = {}
        for name, value in values.items():
            if entity.content(name) and value is not None:
                kind = "" if name.startswith("custom") else entity.fields[name].type
                if kind or "." in name:
                    content[name] = canonical(value, kind)
        return content

    # -- What came out

    def value(self, record: Record, name: str) -> Any:
        kind = record.entity.fields[name].type
        if kind == "SET":
            return sorted(e for (n, e), marks in record.additions.items() if n == name and marks)
        if kind == "MAP":
            return {key.split(".", 1)[1]: value for key, value in record.values.items()
                    if key.startswith(name + ".") and value is not None}
        return record.values.get(name)

    def outcome(self, fields: list[str]) -> dict[str, Any]:
        records = {}
        copies = {name for names in self.revisions.values() for name in names.values()}
        for record in self.records.values():
            if record.tomb and record.name in copies:
                continue        # a line of a revision that did not come to stay: not listed
            values = {} if record.tomb else {
                name: self.value(record, name) for name in fields if name in record.entity.fields}
            records[record.name] = {"deleted": record.tomb is not None, "values": {
                name: value for name, value in values.items() if value not in (None, [], {})}}
        return {"records": records, "conflicts": self.conflicts, "proposals": self.proposals}


# --- Devices -------------------------------------------------------------------------------------

class Device:
    """What it showed, and what it has not sent yet.

    `seen` is the position of its last sync: all versions that it read are at or below it, and each
    write that it read, too, so it is the same as a version for each record.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen = 0
        self.shown: dict[str, dict[str, Any]] = {}
        self.pending: list[Change] = []
        self.made: list[Change] = []

    def operate(self, index: int, step: dict[str, Any], kinds: dict[str, str]) -> Change:
        name = step["record"]
        entity = ENTITIES[kinds[name]]
        values = dict(step.get("values") or {})
        change = Change(index, self.name, step["do"], name, values, self.seen)
        self.made.append(change)
        if step["do"] != "new" and name not in self.shown:
            change.verdict = "not shown"        # the program showed it: seen as a difference
            return change
        self.pending.append(change)
        if step["do"] == "new":
            self.shown[name] = dict(values)
            self.change_keys(dict(values), self.shown[name])
        elif step["do"] == "set":
            self.carry_groups(entity, values, self.shown[name])
            self.change_keys(values, self.shown[name])
            self.shown[name].update(
                {k: v for k, v in values.items() if entity.fields[k].type not in ("SET", "MAP")})
            change.shown = {n: dict(self.shown[n]) for n in [name] + self.lines(name, kinds)}
        else:
            self.shown.pop(name, None)
            change.lines = self.lines(name, kinds)
            for line in change.lines:
                del self.shown[line]
        return change

    def lines(self, document: str, kinds: dict[str, str]) -> list[str]:
        return [line for line, shown in self.shown.items() if ENTITIES[kinds[line]].parent
                and shown.get(ENTITIES[kinds[line]].parent) == document]

    @staticmethod
    def carry_groups(entity: Entity, values: dict[str, Any], shown: dict[str, Any]) -> None:
        """A change to one field of a group carries all of it, as the device shows it.

        open: whether a device shows a check-in that it has just moved to a later time as typed, or
        as it will be decided (MIN). Here as typed: so it goes with the next change of the group.
        """
        for name in list(values):
            if name in entity.fields and entity.fields[name].group:
                for other in entity.members(entity.unit(name)):
                    values.setdefault(other, shown.get(other))

    @staticmethod
    def change_keys(values: dict[str, Any], shown: dict[str, Any]) -> None:
        """A change of a map names the keys that change (section 4), so not those that do not.

        open: whether a field that is given the value that it shows is a change. Here it is, but for
        keys of maps.
        """
        if "custom" in values:
            changed = {k: v for k, v in (values["custom"] or {}).items()
                       if shown.get(f"custom.{k}") != v}
            shown.update({f"custom.{k}": v for k, v in changed.items()})
            values["custom"] = changed

    def pull(self, server: Server) -> None:
        self.seen = server.position
        self.shown = {r.name: dict(r.values) for r in server.records.values() if not r.tomb}


# --- Scenarios -----------------------------------------------------------------------------------

@dataclass
class Played:
    outcome: dict[str, Any]
    verdicts: dict[str, list[str]]
    trace: list[str]


def describe(step: dict[str, Any]) -> str:
    if step["do"] == "sync":
        return f"{step['who']} syncs"
    values = f" {as_json(step['values'])}" if step.get("values") else ""
    return f"{step['who']} {step['do']} {step['record']}{values}"


def kinds_of(line: dict[str, Any]) -> dict[str, str]:
    kinds = dict(line.get("records") or {})
    for step in line["steps"]:
        if step["do"] != "sync":
            kinds.setdefault(step["record"], line["entity"])
    return kinds


def play(line: dict[str, Any]) -> Played:
    kinds = kinds_of(line)
    server = Server(kinds, line["role"])
    devices = {name: Device(name) for name in ("a", "b")}
    for index, step in enumerate(line["steps"], 1):
        device = devices[step["who"]]
        server.trace.append(f"{index}. {describe(step)}" + (
            f"    (has seen up to {device.seen})" if step["do"] != "sync" else ""))
        if step["do"] != "sync":
            device.operate(index, step, kinds)
            continue
        for change in device.pending:
            server.decide(change)
            server.say(f"step {change.index} at {server.position}: {change.verdict}")
        device.pending = []
        device.pull(server)
    verdicts = {name: [c.verdict for c in device.made] for name, device in devices.items()}
    return Played(server.outcome(line["fields"]), verdicts, server.trace)


# --- Comparing -----------------------------------------------------------------------------------

def kind_of(kinds: dict[str, str], record: str, name: str) -> str:
    entity = ENTITIES.get(kinds.get(record, ""))
    f = entity.fields.get(name) if entity else None
    return f.type if f else ""


def comparable(outcome: dict[str, Any], kinds: dict[str, str]) -> dict[str, str]:
    """Everything that is compared: one text for each thing, sorted, by a name for people."""
    parts: dict[str, str] = {}
    for name, record in outcome["records"].items():
        parts[f"record {name}"] = as_json({"deleted": record["deleted"], "values": {
            n: canonical(v, kind_of(kinds, name, n)) for n, v in record["values"].items()}})
    for what, keys in (("conflicts", ("kept", "lost")), ("proposals", ("base", "proposed"))):
        entries = []
        for entry in outcome[what]:
            kind = kind_of(kinds, entry["record"], entry["field"])
            entries.append(as_json({**entry, **{k: canonical(entry.get(k), kind) for k in keys}}))
        parts[what] = "\n".join(sorted(entries))
    return parts


def compare(line: dict[str, Any], played: Played) -> list[str]:
    """What differs, in readable form; nothing where model and program agree."""
    kinds = kinds_of(line)
    real, model = comparable(line["outcome"], kinds), comparable(played.outcome, kinds)
    for who in ("a", "b"):
        real[f"verdicts of {who}"] = ", ".join(line["verdicts"].get(who, []))
        model[f"verdicts of {who}"] = ", ".join(played.verdicts[who])
    return [f"  {what}\n    model: {show(model.get(what))}\n    real:  {show(real.get(what))}"
            for what in sorted(set(real) | set(model)) if real.get(what) != model.get(what)]


def show(text: Optional[str]) -> str:
    return text.replace("\n", "\n           ") if text else "nothing"


def lines_of_files(names: list[str]) -> Iterator[dict[str, Any]]:
    for name in names:
        with (sys.stdin if name == "-" else open(name, encoding="utf-8")) as lines:
            for text in lines:
                if text.strip():
                    yield json.loads(text)


def check_files(names: list[str], limit: int) -> int:
    count = differ = outside = 0
    reasons: dict[str, int] = {}
    for line in lines_of_files(names):
        count += 1
        try:
            differences = compare(line, play(line))
        except Unmodelled as why:
            outside += 1
            reasons[str(why)] = reasons.get(str(why), 0) + 1
            continue
        if differences:
            differ += 1
            if differ <= limit:
                print(f"scenario {line['id']} ({line['entity']}, b is {line['role']})")
                for index, step in enumerate(line["steps"], 1):
                    print(f"  {index}. {describe(step)}")
                print("\n".join(differences) + "\n")
    for reason, times in sorted(reasons.items()):
        print(f"not modelled, {times} times: {reason}")
    print(f"{count} scenarios, {differ} differ" + (f", {outside} not modelled" if outside else ""))
    return 1 if differ else 0


def explain(names: list[str], wanted: str) -> int:
    for line in lines_of_files(names):
        if str(line["id"]) == wanted:
            try:
                played = play(line)
            except Unmodelled as why:
                print(f"not modelled: {why}")
                return 0
            print("\n".join(played.trace))
            print(json.dumps({"verdicts": played.verdicts, "outcome": played.outcome}, indent=2,
                             ensure_ascii=False))
            differences = compare(line, played)
            print("\n".join(differences) if differences else "model and program agree")
            return 1 if differences else 0
    print(f"no scenario {wanted}", file=sys.stderr)
    return 2


# --- Self-test: examples of the documents, by hand -----------------------------------------------

@dataclass
class Example:
    """Done without a sync by a and b after both have the setup, then synced in the orders given."""
    source: str
    setup: list[tuple]                  # (who, do, record, values)
    steps: list[tuple]
    values: dict[str, Any]              # "r1.note": what everybody sees; "r1": None, it is gone
    conflicts: list[tuple] = field(default_factory=list)    # (record, field, kept, lost, lost_dev)
    proposals: list[tuple] = field(default_factory=list)    # (record, field, base, proposed)
    told: dict[str, str] = field(default_factory=dict)      # "ab a": verdicts of a in order ab
    orders: tuple = ("ab", "ba")
    role: str = "manager"
    kinds: dict[str, str] = field(default_factory=lambda: {"r1": "quote"})


QUOTE = ("a", "new", "r1", {"note": "first"})
NEW_LINE = {"quote_id": "r1", "product_id": "tea", "qty": "2000", "price_e4": "100000"}
LINE = ("a", "new", "l1", {**NEW_LINE, "qty": "1000"})
WITH_LINES = {"r1": "quote", "l1": "quote_line", "l2": "quote_line"}


def op(who: str, what: str, record: str, **values: Any) -> tuple:
    return (who, what, record, values)


EXAMPLES = [
    Example("deciding.md, nobody collides: different fields", [QUOTE],
            [op("a", "set", "r1", valid_to=20261231), op("b", "set", "r1", header_disc_bp=200)],
            {"r1.valid_to": 20261231, "r1.header_disc_bp": 200},
            told={"ab b": "accepted", "ba a": "accepted"}),
    Example("deciding.md, LATEST", [QUOTE],
            [op("a", "set", "r1", note="call back"), op("b", "set", "r1", note="samples")],
            {"r1.note": "samples"}, [("r1", "note", "samples", "call back", "a")],
            told={"ba a": "merged", "ba b": "accepted", "ab a": "accepted", "ab b": "merged"}),
    Example("deciding.md, two who say the same", [QUOTE],
            [op("a", "set", "r1", note="agreed"), op("b", "set", "r1", note="agreed")],
            {"r1.note": "agreed"}, told={"ab b": "accepted", "ba a": "accepted"}),
    Example("deciding.md, seen: no conflict", [QUOTE],
            [op("a", "set", "r1", note="call back"), ("a", "sync"), ("b", "sync"),
             op("b", "set", "r1", note="samples")],
            {"r1.note": "samples"}, told={"ab b": "accepted"}),
    Example("deciding.md, custom keys",
            [op("a", "new", "r1", name="n")],
            [op("a", "set", "r1", custom={"delivery": "back"}),
             op("b", "set", "r1", custom={"contract": "2027"})],
            {"r1.custom": {"contract": "2027", "delivery": "back"}}, kinds={"r1": "customer"}),
    Example("deciding.md, groups: never EUR 130",
            [op("a", "new", "r1", subject="s", amount="10000", cur="USD")],
            [op("a", "set", "r1", amount="9000", cur="EUR"), op("b", "set", "r1", amount="13000")],
            {"r1.amount": 13000, "r1.cur": "USD"},
            [("r1", "amount", 13000, 9000, "a"), ("r1", "cur", "USD", "EUR", "a")],
            kinds={"r1": "opportunity"}),
    Example("deciding.md, MIN and MAX",
            [op("a", "new", "r1", plan_day=20260101)],
            [op("a", "set", "r1", checkin_ts="905", checkin_tz_min=480),
             op("b", "set", "r1", checkin_ts="920", checkout_ts="950")],
            {"r1.checkin_ts": 905, "r1.checkin_tz_min": 480, "r1.checkout_ts": 950},
            [("r1", "checkin_ts", 905, 920, "b"), ("r1", "checkin_tz_min", 480, None, "b")],
            kinds={"r1": "visit"}),
    Example("deciding.md, MIN: not moved later by who has seen it",
            [op("a", "new", "r1", checkin_ts="905")],
            [op("a", "set", "r1", checkin_ts="930")],
            {"r1.checkin_ts": 905}, [("r1", "checkin_ts", 905, 930, "a")], told={"ab a": "merged"},
            kinds={"r1": "visit"}),
    Example("PROTOCOL.md, MIN: the rest of the group can be mended",
            [op("a", "new", "r1", checkin_ts="905", checkin_tz_min=480)],
            [op("b", "set", "r1", checkin_tz_min=60)],
            {"r1.checkin_ts": 905, "r1.checkin_tz_min": 60}, told={"ab b": "accepted"},
            kinds={"r1": "visit"}),
    Example("deciding.md, SET: different elements",
            [op("a", "new", "r1", outcome=["price", "shelf"])],
            [op("a", "set", "r1", outcome={"add": ["sample"]}),
             op("b", "set", "r1", outcome={"remove": ["shelf"]})],
            {"r1.outcome": ["price", "sample"]}, told={"ab b": "accepted", "ba a": "accepted"},
            kinds={"r1": "visit"}),
    Example("deciding.md, SET: adding stands against taking away",
            [op("a", "new", "r1", outcome=["price"])],
            [op("a", "set", "r1", outcome={"remove": ["price"]}),
             op("b", "set", "r1", outcome={"remove": ["price"]}),
             op("b", "set", "r1", outcome={"add": ["price"]})],
            {"r1.outcome": ["price"]},
            [("r1", "outcome", {"add": ["price"]}, {"remove": ["price"]}, "a")],
            told={"ab b": "accepted, merged", "ba a": "merged", "ba b": "accepted, accepted"},
            kinds={"r1": "visit"}),
    Example("deciding.md, PROPOSE by a rep",
            [op("a", "new", "r1", name="n", tax_no="1")], [op("a", "set", "r1", tax_no="2")],
            {"r1.tax_no": "1"}, proposals=[("r1", "tax_no", "1", "2")], told={"ab a": "merged"},
            kinds={"r1": "customer"}),
    Example("PROTOCOL.md, PROPOSE by who has the right",
            [op("a", "new", "r1", name="n", tax_no="1")], [op("b", "set", "r1", tax_no="2")],
            {"r1.tax_no": "2"}, told={"ab b": "accepted"}, role="back_office",
            kinds={"r1": "customer"}),
    Example("deciding.md, IMMUTABLE (past the device's engine)",
            [op("a", "new", "r1", cur="CNY")], [op("b", "set", "r1", cur="EUR", note="x")],
            {"r1.cur": "CNY", "r1.note": None}, told={"ab b": "rejected"}),
    Example("deciding.md, STATE: the step that goes further",
            [op("a", "new", "r1", plan_day=20260101)],
            [op("a", "set", "r1", status="in_progress"), op("b", "set", "r1", status="cancelled")],
            {"r1.status": "in_progress"}, [("r1", "status", "in_progress", "cancelled", "b")],
            told={"ab b": "merged", "ba a": "merged"}, kinds={"r1": "visit"}),
    Example("deciding.md, STATE: one resumes, another wins",
            [op("a", "new", "r1", subject="s", status="suspended")],
            [op("b", "set", "r1", status="tracking"), op("a", "set", "r1", status="won")],
            {"r1.status": "won"}, [("r1", "status", "won", "tracking", "b")],
            kinds={"r1": "opportunity"}),
    Example("domain.md section 4: a step up of a void epoch is never lost",
            [op("a", "new", "r1", subject="s", status="suspended")],
            [op("a", "set", "r1", status="tracking"), op("a", "set", "r1", status="won"),
             op("b", "set", "r1", status="lost", lost_reason="price")],
            {"r1.status": "won"}, [("r1", "status", "won", "lost", "b")], orders=("ab",),
            kinds={"r1": "opportunity"}),
    Example("deciding.md, STATE: a step that is not the rep's",
            [op("a", "new", "r1", plan_day=20260101)], [op("a", "set", "r1", status="verified")],
            {"r1.status": "planned"}, told={"ab a": "rejected"}, kinds={"r1": "visit"}),
    Example("PROTOCOL.md, PROPOSE: a rep's value never stands against one of who may decide",
            [op("a", "new", "r1", name="n")],
            [op("b", "set", "r1", tax_no="1"), op("b", "set", "r1", tax_no="2"),
             op("a", "set", "r1", tax_no="1")],
            {"r1.tax_no": "2"}, proposals=[("r1", "tax_no", None, "1")], orders=("ab",),
            role="back_office", kinds={"r1": "customer"}),
    Example("PROTOCOL.md, PROPOSE: nor where it is the one that stood",
            [op("a", "new", "r1", name="n")],
            [op("b", "set", "r1", tax_no="1"), ("b", "sync"), op("b", "set", "r1", tax_no="2"),
             op("a", "set", "r1", tax_no="1")],
            {"r1.tax_no": "2"}, orders=("ab",), role="back_office", kinds={"r1": "customer"}),
    Example("deciding.md, what was sent stands; the edit is in the next revision", [QUOTE, LINE],
            [op("b", "set", "r1", note="six weeks"), op("a", "set", "r1", status="sent")],
            {"r1.note": "first", "r1.status": "sent", "R2.note": "six weeks", "R2.status": "draft",
             "l1.qty": 1000, "L2a.qty": 1000},
            [("r1", "revision", "sent", {"id": "R2", "rev": 2}, "b")], kinds=WITH_LINES),
    Example("PROTOCOL.md, forks: one entry for each device", [QUOTE, LINE],
            [op("b", "set", "r1", note="x"), op("b", "set", "r1", note="y"), ("b", "delete", "l1"),
             op("a", "set", "r1", status="sent")],
            {"r1.note": "first", "l1.qty": 1000, "R2.note": "y"},
            [("r1", "revision", "sent", {"id": "R2", "rev": 2}, "b")], kinds=WITH_LINES),
    Example("PROTOCOL.md, frozen: who had seen that it was sent", [QUOTE],
            [op("a", "set", "r1", status="sent"), ("a", "sync"), ("b", "sync"),
             op("b", "set", "r1", note="x")],
            {"r1.note": "first"}, told={"ab b": "rejected"}),
    Example("PROTOCOL.md, no addition to what was seen deleted", [QUOTE],
            [("a", "delete", "r1"), ("a", "sync"), ("b", "sync"), ("b", "new", "l1", NEW_LINE)],
            {"r1": None}, told={"ab b": "rejected"}, kinds=WITH_LINES),
    Example("deciding.md, lines added on both sides", [QUOTE],
            [("a", "new", "l1", NEW_LINE), ("b", "new", "l2", NEW_LINE)],
            {"l1.qty": 2000, "l2.qty": 2000}, kinds=WITH_LINES),
    Example("deciding.md, edit wins against delete (X3)", [QUOTE, LINE],
            [("a", "delete", "l1"), op("b", "set", "l1", qty="5000")],
            {"l1.qty": 5000}, [("l1", "*", "edit", "delete", "a")],
            told={"ab b": "merged", "ba a": "merged"}, kinds=WITH_LINES),
    Example("domain.md X3: a delete based on the edit stands", [QUOTE, LINE],
            [op("b", "set", "l1", qty="5000"), ("b", "sync"), ("a", "sync"), ("a", "delete", "l1")],
            {"l1": None, "r1.note": "first"}, kinds=WITH_LINES, told={"ab a": "accepted"}),
    Example("deciding.md, a new line is an edit of the document", [QUOTE, LINE],
            [("a", "delete", "r1"), ("b", "new", "l2", NEW_LINE)],
            {"r1.note": "first", "l1.qty": 1000, "l2.qty": 2000},
            [("r1", "*", "edit", "delete", "a")], kinds=WITH_LINES),
    Example("sync.md 5: back with all lines that were not deleted on their own",
            [QUOTE, LINE, ("a", "new", "l2", NEW_LINE)],
            [("a", "delete", "r1"), ("b", "delete", "l2"), op("b", "set", "r1", note="on it")],
            {"r1.note": "on it", "l1.qty": 1000, "l2": None}, [("r1", "*", "edit", "delete", "a")],
            kinds=WITH_LINES),
    Example("deciding.md, a document that nobody works on is gone", [QUOTE, LINE],
            [("a", "delete", "r1")], {"r1": None, "l1": None}, told={"ab a": "accepted"},
            kinds=WITH_LINES),
    Example("deciding.md, REF_MISSING for what names a deleted record",
            [op("a", "new", "r1", name="n")],
            [("a", "delete", "r1"), op("b", "new", "r2", customer_id="r1", feedback="f")],
            {"r1": None}, told={"ab b": "rejected"}, orders=("ab",),
            kinds={"r1": "customer", "r2": "visit"}),
]


def scenario_of(example: Example, order: str) -> dict[str, Any]:
    """The example as a line, with the outcome that the document says."""
    def step(row: tuple) -> dict[str, Any]:
        made = {"who": row[0], "do": row[1]}
        if row[1] != "sync":
            made.update(record=row[2], **({"values": row[3]} if len(row) > 3 else {}))
        return made

    def syncs(devices: str) -> list[tuple]:
        return [(device, "sync") for device in devices]

    rows = example.setup + syncs("aba") + example.steps + syncs(order + order)
    fields = sorted({key.split(".", 1)[1] for key in example.values if "." in key})
    return {"id": f"{example.source} ({order})", "role": example.role, "fields": fields,
            "entity": example.kinds["r1"], "records": example.kinds,
            "steps": [step(row) for row in rows]}


def wrong(example: Example, order: str, played: Played) -> Optional[str]:
    """What of the model's outcome is not as the document says."""
    records = played.outcome["records"]
    for key, value in example.values.items():
        name, _, column = key.partition(".")
        found = records[name]
        if not column and not found["deleted"]:
            return f"{name} is there"
        if column and (found["deleted"] or found["values"].get(column) != value):
            return f"{key}: {as_json(found)}"
    conflicts = [tuple(c[k] for k in ("record", "field", "kept", "lost", "lost_dev"))
                 for c in played.outcome["conflicts"]]
    if sorted(map(as_json, conflicts)) != sorted(map(as_json, example.conflicts)):
        return f"conflicts {conflicts}"
    proposals = [tuple(p[k] for k in ("record", "field", "base", "proposed"))
                 for p in played.outcome["proposals"]]
    if proposals != example.proposals:
        return f"proposals {proposals}"
    for key, told in example.told.items():
        if key.split()[0] == order:
            count = told.count(",") + 1
            said = ", ".join(played.verdicts[key.split()[1]][-count:])
            if said != told:
                return f"{key} is told {said}"
    return None


def spoilt(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Outcomes that are wrong in one thing each, which compare() must find."""
    for who in ("a", "b"):
        if line["verdicts"][who]:
            bad = copy.deepcopy(line)
            bad["verdicts"][who][-1] += "?"
            yield bad
    for name, record in line["outcome"]["records"].items():
        bad = copy.deepcopy(line)
        bad["outcome"]["records"][name]["deleted"] = not record["deleted"]
        yield bad
        for column in record["values"]:
            bad = copy.deepcopy(line)
            bad["outcome"]["records"][name]["values"][column] = "?"
            if kind_of(kinds_of(line), name, column) not in NUMBERS_AS_TEXT:
                yield bad
    for what in ("conflicts", "proposals"):
        for index in range(len(line["outcome"][what])):
            bad = copy.deepcopy(line)
            del bad["outcome"][what][index]
            yield bad


ALPHABETS = {
    "quote": [("set", "r1", {"note": "x"}), ("set", "r1", {"note": "y"}), ("delete", "r1"),
              ("set", "l1", {"qty": "5000"}), ("delete", "l1"), ("new", "l+", NEW_LINE)],
    "visit": [("set", "r1", {"checkin_ts": "905"}), ("set", "r1", {"checkin_ts": "920"}),
              ("set", "r1", {"outcome": {"add": ["p"]}}),
              ("set", "r1", {"outcome": {"remove": ["p"]}}),
              ("set", "r1", {"feedback": "x"}), ("set", "r1", {"feedback": None})],
    "opportunity": [("set", "r1", {"status": "tracking"}), ("set", "r1", {"status": "suspended"}),
                    ("set", "r1", {"status": "lost", "lost_reason": "r"}),
                    ("set", "r1", {"status": "won"})],
}
STARTS = {"quote": [QUOTE, LINE], "visit": [op("a", "new", "r1", outcome=["p"], feedback="f")],
          "opportunity": [op("a", "new", "r1", subject="s", status="suspended")]}


def orders_disagree(entity: str, length: int) -> Iterator[str]:
    """Every pair of sequences: the values do not depend on who arrives first (invariant 10)."""
    sequences = [seq for n in range(1, length + 1)
                 for seq in itertools.product(ALPHABETS[entity], repeat=n)]
    for one, two in itertools.product(sequences, repeat=2):
        steps: list[tuple] = []
        for index, (x, y) in enumerate(itertools.zip_longest(one, two)):
            for who, row in (("a", x), ("b", y)):
                if row:
                    name = f"l{index}{who}" if row[1] == "l+" else row[1]
                    steps.append((who, row[0], name) + row[2:])
        if not shows(steps):
            continue
        kinds = {s[2]: "quote_line" if s[2].startswith("l") else entity
                 for s in STARTS[entity] + steps}
        example = Example("", STARTS[entity], steps, {}, kinds=kinds)
        ends = []
        for order in ("ab", "ba"):
            line = scenario_of(example, order)
            line["fields"] = ["note", "qty", "checkin_ts", "outcome", "feedback", "status"]
            played = play(line)
            if "rejected" not in played.verdicts["a"] + played.verdicts["b"]:
                ends.append(as_json(played.outcome["records"]))
        if len(ends) == 2 and ends[0] != ends[1]:
            yield f"{steps}\n  ab: {ends[0]}\n  ba: {ends[1]}"


def shows(steps: list[tuple]) -> bool:
    """Whether each device shows what its steps name."""
    gone = set()
    for who, do, record, *_ in steps:
        if (who, record) in gone or record.startswith("l") and (who, "r1") in gone:
            return False
        if do == "delete":
            gone.add((who, record))
    return True


def self_test() -> int:
    failed = done = 0
    for example in EXAMPLES:
        for order in example.orders:
            line = scenario_of(example, order)
            played = play(line)
            error = wrong(example, order, played)
            line.update(outcome=played.outcome, verdicts=played.verdicts)
            if compare(line, played):
                error = error or "the model differs from itself"
            if not all(compare(bad, played) for bad in spoilt(line)):
                error = error or "a wrong outcome is not found"
            done += 1
            if error:
                failed += 1
                print(f"{line['id']}: {error}\n" + "\n".join(played.trace))
    for entity in ALPHABETS:
        for text in orders_disagree(entity, 2):
            failed += 1
            print(f"{entity}, order of arrival matters: {text}")
    print(f"{done} examples, {failed} failed")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--show", type=int, default=10, metavar="N", help="print N that differ")
    parser.add_argument("--explain", metavar="ID", help="how one scenario is decided")
    parser.add_argument("--self-test", action="store_true", help="check the model by examples")
    parser.add_argument("files", nargs="*", metavar="FILE")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    if not options.files:
        parser.error("no FILE")
    try:
        if options.explain is not None:
            return explain(options.files, options.explain)
        return check_files(options.files, options.show)
    except (OSError, ValueError) as error:
        print(f"reference.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
