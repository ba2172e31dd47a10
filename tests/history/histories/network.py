# SPDX-License-Identifier: Apache-2.0
"""The network between one device and the server: a port that passes bytes on.

Either direction can be held back, as by a partition: what has been sent waits, and goes on or is
lost when the direction is open again. One thread serves all roads.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from typing import Optional

UP, DOWN = 0, 1  # directions: what device and server send
CHUNK = 65536
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets


class Link:
    """One connection of the device and the one to the server that belongs to it."""

    def __init__(self, device: socket.socket, server: socket.socket) -> None:
        self.sockets = (device, server)
        self.waiting = [bytearray(), bytearray()]  # by direction, to be written
        self.open = True

    def close(self) -> None:
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            one.close()
        self.open = False


class Road:
    """One device's way to the server."""

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.links: list[Link] = []
        self.held = [False, False]  # by direction

    def take(self) -> None:
        """A new connection; where no server listens, it is closed at once."""
        with contextlib.suppress(OSError):
            device, _ = self.listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", self.server_port), 1)
            except OSError:
                device.close()
                return
            for one in (device, server):
                one.setblocking(False)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.links.append(Link(device, server))


class Network:
    """All roads, and the thread that serves them."""

    def __init__(self) -> None:
        self.roads: list[Road] = []
        self.lock = threading.Lock()
        self.wake_end, self.wait_end = socket.socketpair()
        self.running = True
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def add(self, server_port: int) -> Road:
        road = Road(server_port)
        with self.lock:
            self.roads.append(road)
        self.wake()
        return road

    def wake(self) -> None:
        self.wake_end.send(b"x")

    def hold(self, road: Road, up: bool, down: bool) -> None:
        """Holds directions back from now on."""
        with self.lock:
            road.held = [up, down]
        self.wake()

    def release(self, road: Road, lose: bool) -> bool:
        """Opens the road again; `lose`: what waited is lost with its connections. True where
        something had waited."""
        with self.lock:
            ends = [link.sockets[side] for link in road.links for side in (UP, DOWN)
                    if link.open and road.held[side]]
            waited = bool(ends) and bool(select.select(ends, [], [], 0)[0])
            road.held = [False, False]
            if lose:
                self.close_links(road)
        self.wake()
        return waited

    def cut(self, road: Road) -> int:
        """Resets all connections of the road; how many there were."""
        with self.lock:
            count = self.close_links(road)
        self.wake()
        return count

    @staticmethod
    def close_links(road: Road) -> int:
        count = len(road.links)
        for link in road.links:
            link.close()
        road.links.clear()
        return count

    def close(self) -> None:
        self.running = False
        self.wake()
        self.thread.join()
        for road in self.roads:
            self.close_links(road)
            road.listener.close()
        self.wake_end.close()
        self.wait_end.close()

    # ---- the thread

    def serve(self) -> None:
        while self.running:
            poll = select.poll()
            poll.register(self.wait_end, select.POLLIN)
            places: dict[int, tuple[Road, Optional[Link], int]] = {}
            with self.lock:
                for road in self.roads:
                    places[road.listener.fileno()] = (road, None, 0)
                    poll.register(road.listener, select.POLLIN)
                    for link in road.links:
                        self.watch(poll, places, road, link)
            events = poll.poll()
            with self.lock:
                for number, event in events:
                    if number == self.wait_end.fileno():
                        self.wait_end.recv(CHUNK)
                    elif number in places:
                        self.act(*places[number], event)
                for road in self.roads:
                    road.links = [link for link in road.links if link.open]

    @staticmethod
    def watch(poll: select.poll, places: dict, road: Road, link: Link) -> None:
        """Asks for what the link can do now."""
        for side in (UP, DOWN):
            wanted = 0
            if not road.held[side] and len(link.waiting[side]) < CHUNK:
                wanted |= select.POLLIN
            if link.waiting[1 - side]:
                wanted |= select.POLLOUT
            if wanted:
                places[link.sockets[side].fileno()] = (road, link, side)
                poll.register(link.sockets[side], wanted)

    @staticmethod
    def act(road: Road, link: Optional[Link], side: int, event: int) -> None:
        if link is None:
            road.take()
            return
        if not link.open:
            return
        try:
            if event & select.POLLOUT:
                sent = link.sockets[side].send(link.waiting[1 - side])
                del link.waiting[1 - side][:sent]
            if event & (select.POLLIN | select.POLLHUP | select.POLLERR) and not road.held[side]:
                got = link.sockets[side].recv(CHUNK)
                if not got:
                    raise ConnectionResetError
                link.waiting[side] += got
                sent = link.sockets[1 - side].send(link.waiting[side])
                del link.waiting[side][:sent]
        except BlockingIOError:
            pass
        except OSError:
            link.close()
