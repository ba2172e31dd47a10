# SPDX-License-Identifier: Apache-2.0
"""A device: what it shows, what it has not sent yet, and the changesets that it makes."""

from __future__ import annotations

from typing import Any

from .records import Change
from .server import Server
from .tables import ENTITIES, Entity


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
