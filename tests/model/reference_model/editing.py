# SPDX-License-Identifier: Apache-2.0
"""Making a record and setting its fields: what is refused, and which policy merges which unit."""

from __future__ import annotations

from typing import Any, Iterator

from .deleting import delete, touch
from .fields import (elements, merge_immutable, merge_latest, merge_max, merge_min, merge_propose,
                     merge_set)
from .records import Change, Mark, Record, Rejected, Written, unseen
from .server import Server
from .states import first_step, merge_state, next_step
from .tables import ENTITIES, Entity, Unmodelled
from .values import canonical

MERGE = {"LATEST": merge_latest, "IMMUTABLE": merge_immutable, "MIN": merge_min, "MAX": merge_max,
         "SET": merge_set, "PROPOSE": merge_propose, "STATE": merge_state}


def create(server: Server, change: Change) -> None:
    entity = ENTITIES[server.kinds[change.record]]
    if change.record in server.records:
        raise Rejected("EXISTS")
    record = Record(change.record, entity)
    check(server, record, change)
    check_references(server, entity, change)
    for f in entity.fields.values():
        if f.policy == "STATE":
            state = change.values.get(f.name) or f.states[0]
            first_step(server, record, f, state, change)
    check_rules(record.entity, {**record.values, **change.values})
    server.records[change.record] = record
    touch(server, record, change)
    for unit in {entity.unit(name) for name in entity.fields}:
        record.written[unit] = Written(server.position, change.who, change.index)
    for name, value in change.values.items():
        kind = entity.fields[name].type
        if kind == "MAP":
            record.values.update({f"{name}.{key}": v for key, v in (value or {}).items()})
        elif kind == "SET":
            for element in elements(value, "add"):
                record.additions[name, element] = [Mark(server.position, change.who)]
        elif entity.fields[name].policy != "STATE":
            record.values[name] = canonical(value, kind)
    fill(record)


def apply(server: Server, change: Change) -> None:
    {"new": create, "set": edit, "delete": delete}[change.do](server, change)


def fill(record: Record) -> None:
    """What the server fills at creation, of what scenarios look at."""
    entity = record.entity
    if entity.name == "customer" and record.values.get("status") is None:
        record.values["status"] = entity.fields["status"].states[0]
    if entity.name == "quote" and record.values.get("rev") is None:
        record.values["rev"] = 1


def check_references(server: Server, entity: Entity, change: Change) -> None:
    for name, value in change.values.items():
        target = server.records.get(value) if entity.fields[name].type == "ID" else None
        if entity.fields[name].type == "ID" and value in server.kinds and target is None:
            raise Rejected("REF_MISSING or DEPENDS: it is not there")
        if target and target.tomb and not (name == entity.parent
                                           and unseen(target.tomb, change)):
            raise Rejected("REF_MISSING: it is deleted")


def edit(server: Server, change: Change) -> None:
    record = server.records.get(change.record)
    if record is None:
        raise Rejected("REF_MISSING or DEPENDS: it is not there")
    if record.tomb and not unseen(record.tomb, change):
        raise Rejected("REF_MISSING: the delete had been seen")
    check(server, record, change)
    check_references(server, record.entity, change)
    touch(server, record, change)
    for unit, names in units(record.entity, change):
        policy = record.entity.fields[names[0]].policy
        MERGE[policy](server, record, unit, names, change)
    check_rules(record.entity, record.values)


def check_rules(entity: Entity, values: dict[str, Any]) -> None:
    """The one rule of PROTOCOL.md section 15 that a merge of valid changes can break: all
    others speak of one unit, which comes whole from an author whose device has checked it.
    """
    if entity.name == "opportunity" and values.get("status") == "lost" \
            and not values.get("lost_reason"):
        raise Rejected("RULE reason: lost needs a lost_reason")


def units(entity: Entity, change: Change) -> Iterator[tuple[str, list[str]]]:
    done = set()
    for name in change.values:
        unit = entity.unit(name)
        if unit not in done:
            done.add(unit)
            yield unit, [n for n in entity.members(unit) if n in change.values]


def check(server: Server, record: Record, change: Change) -> None:
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
            next_step(server, record, f, value, change)
        if f.policy == "IMMUTABLE" and change.do == "set" \
                and record.values.get(name) != canonical(value, f.type):
            raise Rejected(f"IMMUTABLE: {name}")
