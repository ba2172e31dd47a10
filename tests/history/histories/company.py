# SPDX-License-Identifier: Apache-2.0
"""The real server and the device processes, each with its store, its road and its history file."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import select
import signal
import subprocess
import threading
import time
from typing import Any, Optional

from .network import Network, Road

PATIENCE_S = 60  # for what takes a moment on an idle machine
SERVER_COMMAND_S = 60
COMMIT_S = 0.005  # about what a commit takes
CUSTOMERS = 4  # in each territory
TERRITORIES = ("East", "South")
# login, role on the command line, territory, manager. Who stands here twice has two devices.
STAFF = (("wang", "rep", "East"), ("wang", "rep", "East"), ("li", "rep", "East"),
         ("zhao", "rep", "East"), ("sun", "rep", "East"), ("tom", "rep", "South"),
         ("tom", "rep", "South"), ("ann", "rep", "South"), ("chen", "manager", None),
         ("he", "office", None))


class Failed(Exception):
    """The run is not as it must be; says why."""


class Server:
    """daybook-server on a data folder of its own."""

    def __init__(self, program: str, folder: pathlib.Path) -> None:
        self.program = program
        self.data = folder / "server"
        self.errors = folder / "server.errors"
        self.port = 0
        self.process: Optional[subprocess.Popen] = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [self.program, "serve", "--data", self.data, "--listen",
                 f"127.0.0.1:{self.port}"], stdout=subprocess.PIPE, stderr=errors,
                start_new_session=True)
        assert self.process.stdout
        said, _, _ = select.select([self.process.stdout], [], [], PATIENCE_S)
        line = self.process.stdout.readline().decode() if said else ""
        if "listening on https://127.0.0.1:" not in line:
            raise Failed(f"the server does not start; see {self.errors}")
        self.port = int(line.split(":")[-1])

    def run(self, *arguments: str) -> str:
        done = subprocess.run([self.program, *arguments, "--data", self.data],
                              capture_output=True, text=True, timeout=SERVER_COMMAND_S,
                              check=False)
        if done.returncode != 0:
            raise Failed(f"{' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def signal(self, number: int) -> None:
        assert self.process
        if self.process.poll() is not None:
            raise Failed(f"the server has ended by itself: {self.process.returncode}")
        self.process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> None:
        """Ends it as an operator does."""
        self.signal(signal.SIGTERM)
        if self.wait() != 0:
            raise Failed(f"the server ended with {self.process.returncode}; see {self.errors}")

    def wait(self) -> int:
        assert self.process and self.process.stdout
        code = self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        return code


class Device:
    """One device process, and what it has told so far."""

    def __init__(self, number: int, login: str, role: str, territory: Optional[str],
                 folder: pathlib.Path, road: Road) -> None:
        self.number = number
        self.login = login
        self.role = "back_office" if role == "office" else role
        self.territory = territory
        self.road = road
        self.store = folder / f"device{number}" / "store"
        self.store.parent.mkdir()
        self.history = folder / f"device{number}.jsonl"
        self.errors = folder / f"device{number}.errors"
        self.process: Optional[subprocess.Popen] = None
        self.reader: Optional[threading.Thread] = None
        self.next_number = 1  # of its transactions
        self.counts: dict[str, int] = {}  # of events, and of statuses of failed commits
        self.seen = threading.Condition()

    def begin(self, worker: str, ca_file: pathlib.Path, words: list[str]) -> None:
        """Starts the process, and the thread that writes down its history."""
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [worker, self.store, f"https://127.0.0.1:{self.road.port}", ca_file, *words],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                start_new_session=True)
        self.reader = threading.Thread(target=self.record, daemon=True)
        self.reader.start()

    def record(self) -> None:
        """Every whole line; one that a kill has cut off told nothing."""
        assert self.process and self.process.stdout
        with self.history.open("ab", buffering=0) as history:
            for line in self.process.stdout:
                if line.endswith(b"\n"):
                    history.write(line)
                    self.count(line)

    def count(self, line: bytes) -> None:
        head = line[:line.find(b'"rows"')] + b'"":0}' if b'"rows"' in line else line
        event = json.loads(head)
        with self.seen:
            name = event["event"]
            self.counts[name] = self.counts.get(name, 0) + 1
            if name in ("fail", "none"):
                self.counts[event["status"]] = self.counts.get(event["status"], 0) + 1
            if "number" in event and name != "start":
                self.next_number = max(self.next_number, event["number"] + 1)
            self.seen.notify_all()

    def tell(self, line: str) -> None:
        assert self.process and self.process.stdin
        with contextlib.suppress(BrokenPipeError):  # then it has ended, which others find out
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()

    def wait_for(self, event: str, until: float) -> bool:
        """Waits until it has told this event."""
        with self.seen:
            return self.seen.wait_for(lambda: event in self.counts,
                                      max(0.0, until - time.monotonic()))

    def wait_for_commit(self, choice: float) -> None:
        """Waits until it is just about to commit, or has, for at most a second."""
        with self.seen:
            before = self.counts.get("invoke", 0)
            self.seen.wait_for(lambda: self.counts.get("invoke", 0) > before, 1)
        time.sleep(choice * COMMIT_S)

    def check(self) -> None:
        """A device never ends by itself."""
        if self.process and self.process.poll() is not None:
            raise Failed(f"device {self.number} has ended with {self.process.returncode}: "
                         + self.errors.read_text()[-600:])

    def kill(self) -> None:
        self.check()
        assert self.process
        self.process.kill()
        self.end()
        self.note("killed")

    def end(self) -> int:
        """Waits for the process that has been told to end."""
        assert self.process and self.reader
        code = self.process.wait(PATIENCE_S)
        self.reader.join(PATIENCE_S)
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self.process = None
        return code

    def note(self, event: str, **more: Any) -> None:
        with self.history.open("ab", buffering=0) as history:
            history.write(json.dumps({"t": time.monotonic_ns(), "event": event, **more})
                          .encode() + b"\n")


class Company:
    """Everything that runs, in one folder."""

    def __init__(self, folder: pathlib.Path, worker: str, seed: int, rate: float) -> None:
        self.folder = folder
        self.worker = worker
        self.seed = seed
        self.gap_ms = max(1, int(1000 * len(STAFF) / rate))
        self.server = Server(os.environ["DAYBOOK_SERVER"], folder)
        self.network = Network()
        self.devices: list[Device] = []

    @property
    def ca_file(self) -> pathlib.Path:
        return self.server.data / "ca.crt"

    def open(self) -> None:
        """The server with its master data, and all devices signed in and in step."""
        self.server.start()
        known: set[str] = set()
        self.server.run("user", "add", "chen", "--role", "manager")
        for login, role, territory in STAFF:
            if login not in known and login != "chen":
                self.server.run("user", "add", login, "--role", role, "--manager", "chen",
                                *(["--territory", territory] if territory else []))
            known.add(login)
        records = self.folder / "import.jsonl"
        records.write_text("".join(json.dumps(record) + "\n" for record in master_data()))
        self.server.run("import", str(records))
        for number, (login, role, territory) in enumerate(STAFF):
            road = self.network.add(self.server.port)
            self.devices.append(Device(number, login, role, territory, self.folder, road))
        for device in self.devices:
            code = self.server.run("enrol", device.login).split()[-1]
            device.begin(self.worker, self.ca_file, ["enrol", code])
        for device in self.devices:
            if device.end() != 0:
                raise Failed(f"device {device.number} cannot enrol: "
                             + device.errors.read_text()[-600:])

    def start(self, device: Device) -> None:
        seed = self.seed * 1000 + device.number * 100 + device.next_number % 100
        device.begin(self.worker, self.ca_file,
                     [str(device.number), device.role, str(device.next_number), str(seed),
                      str(self.gap_ms)])

    def close(self) -> None:
        """Whatever still runs is ended at once."""
        for device in self.devices:
            if device.process:
                device.process.kill()
                device.end()
        if self.server.process and self.server.process.poll() is None:
            self.server.process.kill()
            self.server.wait()
        self.network.close()


def master_data() -> list[dict[str, Any]]:
    """A product, and the customers that all fight for."""
    records: list[dict[str, Any]] = [
        {"entity": "product", "id": "0193f000-0000-7000-8000-000000000001", "code": "TEA",
         "name": "龙井茶", "uom": "box", "tax_bp": 1300}]
    for place, territory in enumerate(TERRITORIES):
        for index in range(CUSTOMERS):
            records.append({"entity": "customer", "name": f"shop {index}",
                            "id": f"0193f000-000{place + 1}-7000-8000-{index:012d}",
                            "territory_id": {"key": territory}})
    return records
