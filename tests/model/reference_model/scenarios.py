# SPDX-License-Identifier: Apache-2.0
"""Playing a scenario: the steps of two devices, one after the other, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .decide import decide
from .devices import Device
from .server import Server
from .values import as_json


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
            decide(server, change)
            server.say(f"step {change.index} at {server.position}: {change.verdict}")
        device.pending = []
        device.pull(server)
    verdicts = {name: [c.verdict for c in device.made] for name, device in devices.items()}
    return Played(server.outcome(line["fields"]), verdicts, server.trace)
