# SPDX-License-Identifier: Apache-2.0
"""The self-test: the examples, spoilt outcomes that must be found, and that the order in which two
devices sync does not matter.
"""

from __future__ import annotations

import copy
import itertools
from typing import Any, Iterator, Optional

from .compare import compare, kind_of
from .examples import EXAMPLES, LINE, NEW_LINE, QUOTE, Example, op
from .scenarios import Played, kinds_of, play
from .values import NUMBERS_AS_TEXT, as_json


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
