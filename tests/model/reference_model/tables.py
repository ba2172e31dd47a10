# SPDX-License-Identifier: Apache-2.0
"""The tables of the protocol: which entities, fields, policies and groups there are
(entities.def), the texts of CHOICE fields and the state machines (PROTOCOL.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parents[3]
TABLE = ROOT / "engine" / "protocol" / "entities.def"
PROTOCOL = ROOT / "engine" / "protocol" / "PROTOCOL.md"


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
