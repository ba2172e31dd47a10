# SPDX-License-Identifier: Apache-2.0
"""What the server keeps of a record: values, who wrote them, and the marks by which it is known
what an author had seen; and a change, as a device sends it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

from .tables import Entity

DEVICE_NO = {"server": 0, "a": 1, "b": 2}     # for ties of stamps; here all stamps differ


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
    work: list[Mark] = field(default_factory=list)      # of a quote: changesets of its content
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
    """The changeset is refused, all of it."""


def unseen(mark: Any, change: Change) -> bool:
    """Written behind what the author had seen, and by somebody else."""
    return mark.pos > change.seen and mark.dev != change.who
