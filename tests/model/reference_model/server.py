# SPDX-License-Identifier: Apache-2.0
"""The state of the server: its records, its log of conflicts, its proposals, and what of it is
compared with the program's. It decides nothing; decide.py does.
"""

from __future__ import annotations

from typing import Any

from .records import Record
from .values import as_json


class Server:
    """What the server knows; `merged` is the verdict on the changeset that it is deciding."""

    def __init__(self, kinds: dict[str, str], role: str) -> None:
        self.kinds = kinds
        self.roles = {"a": "rep", "b": role}
        self.records: dict[str, Record] = {}
        self.position = 0
        self.conflicts: list[dict[str, Any]] = []
        self.proposals: list[dict[str, Any]] = []
        self.merged = False
        self.trace: list[str] = []
        self.revisions: dict[str, dict[str, str]] = {}      # of a quote: its records, their copies

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

    def lines_of(self, document: Record) -> list[Record]:
        return [r for r in self.records.values()
                if r.entity.parent and r.values.get(r.entity.parent) == document.name]

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
        for name in self.kinds:         # named, but not there: never taken, or gone elsewhere
            if name not in copies:
                records.setdefault(name, {"deleted": True, "values": {}})
        return {"records": records, "conflicts": self.conflicts, "proposals": self.proposals}
