# SPDX-License-Identifier: Apache-2.0
"""The faults: which, when and how long follows from the seed alone.

Each class comes once before any comes again. Several are under way at a time, so they mix: a
process and its road can each have one, and storms and the server's faults hit all.
"""

from __future__ import annotations

import heapq
import random
import signal
import time
from typing import Callable, Optional

from .company import Company, Device

YEAR_MS = 366 * 24 * 3600 * 1000
CLOCK_JUMPS_MS = (5000, -5000, 7200000, -7200000, 40 * 24 * 3600000, 10 * YEAR_MS, -10 * YEAR_MS)
STORM_CUT_S = 0.15
QUIET_PART = 1 / 6  # of the time, at its end, is without faults, so that backoffs run out
STORM_CUTS = 10

PROCESS, ROAD = "process", "road"  # what of a device can have a fault

CLASSES = ("kill", "pause", "partition", "requests lost", "replies lost", "storm", "clock",
           "disk full", "server kill", "server pause", "split")


class Nemesis:
    """Begins and ends faults until its time is over."""

    def __init__(self, company: Company, seed: int, seconds: float) -> None:
        self.company = company
        self.chance = random.Random(seed)
        self.start = time.monotonic()
        self.end = self.start + seconds
        self.faults_end = self.end - seconds * QUIET_PART
        self.longest = seconds / 5
        self.due: list[tuple[float, int, Callable[[], None]]] = []
        self.order = 0
        self.busy: set[tuple[str, int]] = set()  # what of which device
        self.server_busy = False
        self.begun = dict.fromkeys(CLASSES, 0)
        self.real = dict.fromkeys(CLASSES, 0)  # those that are known to have struck
        self.bag: list[str] = []

    def run(self) -> None:
        self.at(0.3, self.strike)
        self.at(self.end - self.start, lambda: None)
        while self.due:
            when, _, action = heapq.heappop(self.due)
            while (left := when - time.monotonic()) > 0:
                time.sleep(min(left, 0.2))
                for device in self.company.devices:
                    device.check()
            action()

    def at(self, delay: float, action: Callable[[], None]) -> None:
        self.order += 1
        heapq.heappush(self.due, (time.monotonic() + delay, self.order, action))

    def strike(self) -> None:
        """Begins the next fault and says when the one after it comes."""
        left = self.faults_end - time.monotonic()
        if left <= 0:
            return
        self.bag = self.bag or self.chance.sample(CLASSES, len(CLASSES))
        name = self.bag.pop()
        # The choices do not depend on what is busy: the same seed makes the same plan.
        target = self.company.devices[self.chance.randrange(len(self.company.devices))]
        lasts = self.chance.uniform(0.3, 1.0) * self.chance.choice((1, 3, self.longest))
        lasts = min(lasts, max(left, 0.3))
        choice = self.chance.random()
        part = ROAD if "lost" in name or name == "partition" else PROCESS
        device = self.free(part, target)
        if name in ("storm", "split"):
            self.begun[name] += 1
            self.storm(STORM_CUTS) if name == "storm" else self.split(lasts, choice)
        elif name.startswith("server"):
            self.strike_server(name, lasts)
        elif device is not None:
            self.begun[name] += 1
            self.busy.add((part, device.number))
            self.strike_device(name, device, lasts, choice)
        self.at(self.chance.uniform(0.3, 1.1), self.strike)

    def free(self, part: str, wanted: Device) -> Optional[Device]:
        """The device, or the next one that has no fault of that kind."""
        devices = self.company.devices
        turned = devices[wanted.number:] + devices[:wanted.number]
        return next((one for one in turned if (part, one.number) not in self.busy), None)

    def over(self, part: str, device: Device) -> None:
        self.busy.discard((part, device.number))

    # ---- one device

    def strike_device(self, name: str, device: Device, lasts: float, choice: float) -> None:
        if name == "kill":
            device.wait_for_commit(choice)
            device.kill()
            self.real[name] += 1
            self.at(lasts / 3, lambda: self.restart(device))
        elif name == "pause":
            assert device.process
            device.process.send_signal(signal.SIGSTOP)
            self.at(lasts, lambda: self.resume(device))
        elif name == "clock":
            jump = CLOCK_JUMPS_MS[int(choice * len(CLOCK_JUMPS_MS))]
            device.tell(f"clock {jump}")
            device.note("clock", ms=jump)
            self.real[name] += 1
            self.over(PROCESS, device)
        elif name == "disk full":
            before = device.counts.get("DISK_FULL", 0)
            device.tell("full 1")
            self.at(lasts, lambda: self.empty_disk(device, before))
        else:
            up, down = name != "replies lost", name != "requests lost"
            self.company.network.hold(device.road, up, down)
            self.at(lasts, lambda: self.heal(name, device, choice < 0.5))

    def restart(self, device: Device) -> None:
        self.company.start(device)
        self.over(PROCESS, device)

    def resume(self, device: Device) -> None:
        device.check()
        assert device.process
        with open(f"/proc/{device.process.pid}/stat", encoding="ascii") as stat:
            self.real["pause"] += stat.read().rpartition(")")[2].split()[0] == "T"
        device.process.send_signal(signal.SIGCONT)
        self.over(PROCESS, device)

    def empty_disk(self, device: Device, before: int) -> None:
        device.tell("full 0")
        self.real["disk full"] += device.counts.get("DISK_FULL", 0) > before
        self.over(PROCESS, device)

    def heal(self, name: str, device: Device, lose: bool) -> None:
        waited = self.company.network.release(device.road, lose)
        self.real[name] += waited
        self.over(ROAD, device)

    # ---- everybody

    def split(self, lasts: float, choice: float) -> None:
        """About half of the devices that are free lose the server, each in its own way."""
        hit = [one for one in self.company.devices
               if (ROAD, one.number) not in self.busy and self.chance.random() < 0.5]
        for device in hit:
            way = self.chance.choice(((True, True), (True, False), (False, True)))
            self.busy.add((ROAD, device.number))
            self.company.network.hold(device.road, *way)
            self.at(lasts, lambda device=device: self.heal("split", device, choice < 0.5))

    def storm(self, cuts: int) -> None:
        """All connections are reset, again and again."""
        lost = sum(self.company.network.cut(one.road) for one in self.company.devices
                   if (ROAD, one.number) not in self.busy)
        self.real["storm"] += lost > 0 and cuts == STORM_CUTS
        if cuts > 1:
            self.at(STORM_CUT_S, lambda: self.storm(cuts - 1))

    def strike_server(self, name: str, lasts: float) -> None:
        if self.server_busy:
            return
        self.begun[name] += 1
        self.real[name] += 1
        self.server_busy = True
        if name == "server kill":
            self.company.server.kill()
            self.at(lasts / 2, self.restart_server)
        else:
            self.company.server.signal(signal.SIGSTOP)
            self.at(lasts, self.resume_server)

    def restart_server(self) -> None:
        self.company.server.start()
        self.server_busy = False

    def resume_server(self) -> None:
        self.company.server.signal(signal.SIGCONT)
        self.server_busy = False
