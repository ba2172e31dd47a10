# SPDX-License-Identifier: Apache-2.0
"""One run: load and faults, rest, judgement."""

from __future__ import annotations

import pathlib
import time
from collections import Counter
from dataclasses import dataclass, field

from .company import Company, Failed
from .nemesis import Nemesis
from .order import Order
from .outcome import judge_outcome
from .prefix import judge_reads
from .recording import Recording, load

REST_S = 330  # nobody tells a device that the network is back: the longest backoff is 300 s
SHOWN = 5  # of what breaks one property


@dataclass
class Result:
    """What one run was like."""
    lines: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    struck: Counter = field(default_factory=Counter)  # faults, by class


def judge(recording: Recording) -> tuple[list[tuple[str, str]], str]:
    """All that is wrong with a recording, by property, and what there was to judge."""
    wrong: list[tuple[str, str]] = []
    order = Order(recording)

    def report(name: str, text: str) -> None:
        wrong.append((name, text))

    reads = judge_reads(recording, order, report)
    judge_outcome(recording, order, report)
    return wrong, (f"{reads} snapshots, {sum(map(len, order.writes.values()))} values, "
                   f"{len(order.added)} tags ({len(order.vain)} removed in vain)")


def play(folder: pathlib.Path, worker: str, seed: int, seconds: float, rate: float) -> Result:
    """Everything happens in the folder, which the caller removes or keeps."""
    result = Result()
    company = Company(folder, worker, seed, rate)
    try:
        company.open()
        for device in company.devices:
            company.start(device)
        begun = time.monotonic()
        nemesis = Nemesis(company, seed, seconds)
        nemesis.run()
        lasted = time.monotonic() - begun
        rested = come_to_rest(company)
        company.server.stop()
        begun = time.monotonic()
        recording = load(company)
        wrong, judged = judge(recording)
        checked = time.monotonic() - begun
    except Failed as failure:
        result.wrong.append(f"liveness: {failure}")
        return result
    finally:
        company.close()
    describe(result, recording, nemesis, lasted)
    result.lines.append(f"at rest after {rested:.1f} s; {judged}, checked in {checked:.1f} s")
    for name, count in sorted(Counter(name for name, _ in wrong).items()):
        result.wrong.append(f"{name}: {count} times")
        result.wrong += ["  " + text for one, text in wrong if one == name][:SHOWN]
    return result


def come_to_rest(company: Company) -> float:
    """No more transactions, no more faults: every device settles by itself, then ends."""
    begun = time.monotonic()
    for device in company.devices:
        device.tell("drain")
    for device in company.devices:
        if not device.wait_for("rest", begun + REST_S):
            device.check()
            raise Failed(f"device {device.number} has not come to rest within {REST_S} s")
    rested = time.monotonic() - begun
    for device in company.devices:
        device.tell("end")
    for device in company.devices:
        if device.end() != 0 or "end" not in device.counts:
            raise Failed(f"device {device.number} cannot end: "
                         + device.errors.read_text()[-600:])
    return rested


def describe(result: Result, recording: Recording, nemesis: Nemesis, lasted: float) -> None:
    outcomes = Counter(one.outcome for one in recording.transactions())
    total = sum(outcomes.values())
    result.lines.append(f"{total} transactions in {lasted:.1f} s ({total / lasted:.1f}/s): "
                        + ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
                        + f"; {len(recording.server.table('field_conflict'))} values lost to "
                        f"others, {sum(len(d.store.inbox) for d in recording.devices)} rejected")
    result.struck = Counter(nemesis.real)
    result.lines.append("faults that struck: " + ", ".join(
        f"{name} {count}" for name, count in nemesis.real.items()))
