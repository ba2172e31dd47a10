# SPDX-License-Identifier: Apache-2.0
"""The next revision of a quote that was sent, and sending a quote that was edited before.

It is put back to what its sender had, and what it had become is the revision. Edits that come
after it: forks.py.
"""

from __future__ import annotations

import copy
from typing import Any

from .records import Change, Record, Step, Tomb, Written, unseen
from .server import Server
from .tables import ENTITIES, Entity
from .values import canonical


def note_revision(server: Server, document: Record, copies: dict[str, str], kept_dev: str,
                  lost_dev: str) -> None:
    """An entry on the quote that was sent; called once for each changeset whose work went there."""
    name = copies[document.name]
    lost = {"id": name, "rev": server.records[name].values["rev"]}
    server.note(document.name, "revision", document.values["status"], lost, kept_dev, lost_dev)


def revision(server: Server, document: Record) -> dict[str, str]:
    """The one draft in which all meet, made of the quote and its lines as they are now. What
    was written where, and by whom, goes along: in the draft all merges as it would have here.
    """
    if document.name not in server.revisions:
        number = document.values["rev"] + 1
        copies = server.revisions[document.name] = {document.name: f"R{number}"}
        copy_record(server, document, copies[document.name], "quote")
        draft = server.records[copies[document.name]]
        draft.values.update(rev=number, status="draft", revision_of=document.name)
        draft.steps = [Step(server.position, "server", 0, 0, 0, first=True)]
        for line in server.lines_of(document):
            if not line.tomb:
                copies[line.name] = name_line(server, copies)
                copy_record(server, line, copies[line.name], "quote_line")
                server.records[copies[line.name]].values["quote_id"] = draft.name
        server.say(f"revision {draft.name} of {document.name}")
    return server.revisions[document.name]


def name_line(server: Server, copies: dict[str, str]) -> str:
    """Names are the program's: L, the revision's number, a letter."""
    stem = "L" + next(iter(copies.values()))[1:]
    name = stem + chr(ord("a") + sum(other.startswith(stem) for other in server.records))
    server.kinds[name] = "quote_line"
    return name


def copy_record(server: Server, record: Record, name: str, kind: str) -> None:
    made = server.records[name] = copy.deepcopy(record)
    made.name, made.entity, server.kinds[name] = name, record.entity, kind


def send_quote(server: Server, document: Record, change: Change) -> None:
    """A quote is sent as its sender had it; what it was otherwise is the next revision.

    The work that goes there is all that others did to the content and that the sender had not seen:
    the same changesets that would have forked, had they come later.
    open: whether one has an entry of which nothing is in the revision, since a later one of the
    same author replaced it, or since it changed nothing. Here it has, as it would where it forks.
    open: whether there are entries at all, and a revision, where all of that work together left the
    quote as its sender had it. Here not, "where quote or lines are otherwise by now"; so it matters
    who comes first.
    """
    sent = change.shown
    now = {r.name: r for r in [document] + server.lines_of(document) if not r.tomb}
    same = {name: content_of(r.entity, r.values) for name, r in now.items()} == {
        name: content_of(ENTITIES[server.kinds[name]], values) for name, values in sent.items()}
    if same:
        return
    copies = revision(server, document)
    for line in server.lines_of(document):
        if line.name not in sent and not line.tomb:
            line.tomb = Tomb(server.position, change.who, True)
    for name, values in sent.items():
        record = server.records[name]
        record.tomb = None
        kept = {n: v for n, v in record.values.items() if not record.entity.content(n)}
        for n, v in content_of(record.entity, values).items():
            kept[n] = v
            if record.values.get(n) != v:
                unit = n if n.startswith("custom.") else record.entity.unit(n)
                record.written[unit] = Written(server.position, change.who, change.index)
        record.values = kept
    server.say(f"{document.name} is put back to what {change.who} sent")
    for mark in document.work:
        if unseen(mark, change):
            note_revision(server, document, copies, change.who, mark.dev)


def content_of(entity: Entity, values: dict[str, Any]) -> dict[str, Any]:
    content = {}
    for name, value in values.items():
        if entity.content(name) and value is not None:
            kind = "" if name.startswith("custom") else entity.fields[name].type
            if kind or "." in name:
                content[name] = canonical(value, kind)
    return content
