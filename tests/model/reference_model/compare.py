# SPDX-License-Identifier: Apache-2.0
"""Comparing the model's outcome with the program's, over files of scenarios."""

from __future__ import annotations

import json
import sys
from typing import Any, Iterator, Optional

from .scenarios import Played, describe, kinds_of, play
from .tables import ENTITIES, Unmodelled
from .values import as_json, canonical


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
