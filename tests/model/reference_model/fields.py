# SPDX-License-Identifier: Apache-2.0
"""Merging one field or group: LATEST, IMMUTABLE, MIN, MAX, SET, PROPOSE. STATE is in states.py."""

from __future__ import annotations

from typing import Any

from .records import DEVICE_NO, Change, Mark, Record, Written, unseen
from .server import Server
from .values import as_json, canonical


def take(server: Server, record: Record, unit: str, values: dict[str, Any], change: Change) -> None:
    record.values.update(values)
    record.written[unit] = Written(server.position, change.who, change.index)


def keep_later(server: Server, record: Record, unit: str, change: Change) -> None:
    """The same value given again.

    open: who has written it then, and when. Here the later of the two, by stamp: otherwise a
    third change would fall between them in one order of arrival and not in another.
    """
    new = Written(server.position, change.who, change.index)
    old = record.written.get(unit)
    if old is None or new.order() > old.order():
        record.written[unit] = new


def merge_latest(server: Server, record: Record, unit: str, names: list[str],
                 change: Change) -> None:
    if record.entity.fields[names[0]].type == "MAP":
        for key, value in (change.values[names[0]] or {}).items():
            latest(server, record, f"{names[0]}.{key}", {f"{names[0]}.{key}": value}, change)
    else:
        latest(server, record, unit, given_values(record, names, change), change)


def given_values(record: Record, names: list[str], change: Change) -> dict[str, Any]:
    return {n: canonical(change.values[n], record.entity.fields[n].type) for n in names}


def latest(server: Server, record: Record, unit: str, given: dict[str, Any],
           change: Change) -> None:
    stored = {name: record.values.get(name) for name in given}
    written = record.written.get(unit)
    if stored == given:
        keep_later(server, record, unit, change)
    elif written is None or not unseen(written, change):
        take(server, record, unit, given, change)
    elif (change.index, DEVICE_NO[change.who]) > written.order():
        lose(server, record, given, stored, change.who, written.dev)
        take(server, record, unit, given, change)
    else:
        lose(server, record, stored, given, written.dev, change.who)


def lose(server: Server, record: Record, kept: dict[str, Any], lost: dict[str, Any], kept_dev: str,
         lost_dev: str) -> None:
    """One entry for each field of the unit that differs."""
    for name, value in lost.items():
        if value != kept[name]:
            server.note(record.name, name, kept[name], value, kept_dev, lost_dev)


def merge_immutable(server: Server, record: Record, unit: str, names: list[str],
                    change: Change) -> None:
    pass    # the same value; another has been refused


def merge_min(server: Server, record: Record, unit: str, names: list[str], change: Change) -> None:
    extreme(server, record, unit, names, change, -1)


def merge_max(server: Server, record: Record, unit: str, names: list[str], change: Change) -> None:
    extreme(server, record, unit, names, change, 1)


def extreme(server: Server, record: Record, unit: str, names: list[str], change: Change,
            sign: int) -> None:
    """MIN and MAX, by the first field of the group; also for who had seen what is stored.

    Clocks are right here, so no value is doubtful.
    """
    given = given_values(record, names, change)
    stored = {name: record.values.get(name) for name in names}
    first = record.entity.members(unit)[0]
    worth = [(v is not None, sign * v if v is not None else 0)
             for v in (given[first], stored[first])]
    if worth[0] == worth[1]:
        latest(server, record, unit, given, change)
    elif worth[0] < worth[1]:
        lose(server, record, stored, given, record.written[unit].dev, change.who)
    else:
        if unseen(record.written[unit], change):
            lose(server, record, given, stored, change.who, record.written[unit].dev)
        take(server, record, unit, given, change)


def elements(value: Any, side: str) -> list[str]:
    """A record is made with whole sets; a change of one has two sides."""
    if isinstance(value, dict):
        return value.get(side) or []
    return (value or []) if side == "add" else []


def merge_set(server: Server, record: Record, unit: str, names: list[str], change: Change) -> None:
    """An element is there as long as some addition of it was seen by no removal.

    Each element is in conflict as a field is: only where it is otherwise than the change says.
    So an addition is not noted against a removal where the element is there (again) already.
    open: whether removals count that found nothing to remove. Here they do: an addition that
    had not seen one meets it, "in either order of arrival". One entry for each change and side
    has all its elements.
    """
    name, value = unit, change.values[unit]
    mark = Mark(server.position, change.who)
    beaten, beating = [], []
    for element in elements(value, "remove"):
        left = [m for m in record.additions.get((name, element), []) if unseen(m, change)]
        record.additions[name, element] = left
        record.removals.setdefault((name, element), []).append(mark)
        if left:
            beaten.append((element, left[-1].dev))
    for element in elements(value, "add"):
        there = record.additions.setdefault((name, element), [])
        other = [m for m in record.removals.get((name, element), []) if unseen(m, change)]
        if other and not there:
            beating.append((element, other[-1].dev))
        there.append(mark)
    for found, stands in ((beaten, False), (beating, True)):
        if found:
            names, devs = sorted(e for e, _ in found), (change.who, found[0][1])
            server.note(record.name, name, {"add": names}, {"remove": names},
                        *(devs if stands else devs[::-1]))


def merge_propose(server: Server, record: Record, unit: str, names: list[str],
                  change: Change) -> None:
    """Who may decide writes by LATEST; a rep's value becomes a proposal, conflict or not."""
    if server.roles[change.who] in ("manager", "back_office"):
        latest(server, record, unit, given_values(record, names, change), change)
        return
    for name, value in given_values(record, names, change).items():
        base = record.values.get(name)
        if value == base:
            # open: a rep gives what somebody else has put there meanwhile: no proposal and
            # accepted; the other way round it is one. So it matters who comes first.
            server.say(f"{record.name}.{name} has that value already: no proposal")
            continue
        server.merged = True
        server.proposals.append({"record": record.name, "field": name, "base": base,
                                 "proposed": value, "by": change.who, "status": "open"})
        server.say(f"{as_json(value)} for {record.name}.{name} becomes a proposal")
