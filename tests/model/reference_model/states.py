# SPDX-License-Identifier: Apache-2.0
"""Merging a state: the register of steps, PROTOCOL.md section 14, *STATE*."""

from __future__ import annotations

from typing import Optional

from .records import DEVICE_NO, Change, Record, Rejected, Step, unseen
from .revisions import send_quote
from .server import Server
from .tables import MACHINES, Entity, Field, Unmodelled, roles_of


def first_step(server: Server, record: Record, f: Field, state: str, change: Change) -> None:
    """A record begins in its first state, or where its maker could have brought it."""
    start = f.states[0]
    if state != start and not path(server, record.entity, f, start, state, change.who):
        raise Rejected("TRANSITION: not a state to begin in")
    record.steps = [Step(server.position, change.who, change.index, 0, f.states.index(state),
                         first=True)]
    record.values[f.name] = state
    check_content(record.entity)


def check_content(entity: Entity) -> None:
    if entity.name == "sales_order":
        raise Unmodelled("content of orders")


def peaks(steps: list[Step]) -> tuple[int, int]:
    """The last valid epoch and its peak: domain.md section 4.

    open: whether the peak against which a reopening is held ("that one's peak as it is now")
    has in it the steps up of void epochs. Here it has not while the next epoch is judged: the
    peak is that of the epoch's own steps. Either way such a step up stands, in whichever epoch
    it counts: so what was won in a void epoch cannot be opened again, also by who has seen it.
    """
    epoch = 0
    while True:
        peak = max(s.rank for s in steps if s.epoch == epoch)
        openers = [s for s in steps if s.epoch == epoch + 1 and s.saw_peak is not None]
        if not any(s.saw_peak == peak for s in openers):
            break
        epoch += 1
    ups = [s.rank for s in steps if s.epoch > epoch and s.saw_peak is None]
    return epoch, max([peak] + ups)


def path(server: Server, entity: Entity, f: Field, start: str, end: str, who: str) -> bool:
    """Several steps up, each in the table and each the author's to take."""
    reached, found = {start}, True
    while found:
        found = False
        for edge in MACHINES.get(entity.name, []):
            if edge.start in reached and edge.end not in reached and not edge.down \
                    and edge.who & roles_of(server.roles[who]) \
                    and f.states.index(edge.end) > f.states.index(edge.start):
                reached.add(edge.end)
                found = True
    return end in reached


def next_step(server: Server, record: Record, f: Field, state: str,
              change: Change) -> Optional[Step]:
    """The step from what the author saw, or None where that is the state already."""
    check_content(record.entity)
    if state not in f.states:
        raise Rejected("TRANSITION step: no such state")
    view = [s for s in record.steps if s.first or not unseen(s, change)]
    epoch, peak = peaks(view)
    start, rank = f.states[peak], f.states.index(state)
    if rank == peak:
        return None
    if rank > peak and path(server, record.entity, f, start, state, change.who):
        return Step(server.position, change.who, change.index, epoch, rank)
    for edge in MACHINES.get(record.entity.name, []):
        if edge.down and (edge.start, edge.end) == (start, state) \
                and edge.who & roles_of(server.roles[change.who]):
            return Step(server.position, change.who, change.index, epoch + 1, rank, saw_peak=peak)
    raise Rejected(f"TRANSITION: no step from {start} to {state} for {server.roles[change.who]}")


def merge_state(server: Server, record: Record, unit: str, names: list[str],
                change: Change) -> None:
    """The state is a function of the set of steps; what loses is noted.

    open: what it is to say again what was seen. Here no step, but a value that is in conflict
    as any other where somebody else has stepped on, unseen.
    open: who holds a state to which two stepped. Here the later, by stamp.
    open: whether a state is noted through which the other's step would have gone anyway
    (in_progress, against completed from planned). Here it is: it differs and was not seen.
    """
    f = record.entity.fields[unit]
    wanted = change.values[unit]
    old, holder = record.values[unit], holder_of(record)
    step = next_step(server, record, f, wanted, change)
    if step is None:
        server.say(f"{record.name} was seen {wanted}: no step")
        if old != wanted and unseen(holder, change):
            server.note(record.name, unit, old, wanted, holder.dev, change.who)
        return
    states = f.states if record.entity.name == "quote" else []
    sends = wanted in states and states.index(wanted) >= states.index("sent")
    if sends and states.index(old) >= states.index("sent") and unseen(holder, change) \
            and is_sending(record, f, change):
        raise Unmodelled("two send one quote")
    record.steps.append(step)
    new = record.values[unit] = f.states[peaks(record.steps)[1]]
    server.say(f"{record.name} steps to {wanted} in epoch {step.epoch}: {new}")
    if sends and old in states[:states.index("sent")]:
        send_quote(server, record, change)
    if new != wanted:
        server.note(record.name, unit, new, wanted, holder_of(record).dev, change.who)
    elif old != new and unseen(holder, change):
        server.note(record.name, unit, new, old, change.who, holder.dev)


def is_sending(record: Record, f: Field, change: Change) -> bool:
    """A step to where content stands, from where it did not."""
    view = [s for s in record.steps if s.first or not unseen(s, change)]
    return peaks(view)[1] < f.states.index("sent")


def holder_of(record: Record) -> Step:
    epoch, peak = peaks(record.steps)
    holders = [s for s in record.steps if s.rank == peak
               and (s.epoch == epoch or s.epoch > epoch and s.saw_peak is None)]
    return max(holders, key=lambda s: (s.stamp, DEVICE_NO[s.dev]))
