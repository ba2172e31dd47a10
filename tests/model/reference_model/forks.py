# SPDX-License-Identifier: Apache-2.0
"""Edits of a quote that was sent already, by who did not know: they go to the next revision."""

from __future__ import annotations

import copy
from typing import Optional

from .editing import apply, edit
from .records import Change, Mark, Record, Rejected, unseen
from .revisions import name_line, note_revision, revision
from .server import Server
from .states import holder_of, peaks
from .tables import ENTITIES


def content_document(server: Server, change: Change) -> Optional[Record]:
    """The quote of whose content, its lines among it, the change speaks."""
    record = server.records.get(change.record)
    entity = ENTITIES[server.kinds[change.record]]
    if entity.name == "quote":
        document = record if change.do == "set" and any(map(entity.content, change.values)) \
            else None   # who deletes it unseen deletes it against an edit, the step
    else:
        parent = entity.parent and (change.values.get(entity.parent)
                                    or record and record.values.get(entity.parent))
        document = server.records.get(parent)
    return document if document and document.entity.name == "quote" else None


def stands(document: Record, change: Change) -> bool:
    """Whether the content of the quote stands; whoever had seen that cannot change it."""
    if document.tomb:
        return False
    states = document.entity.fields["status"].states
    if states.index(document.values["status"]) < states.index("sent"):
        return False
    view = [s for s in document.steps if s.first or not unseen(s, change)]
    if peaks(view)[1] >= states.index("sent"):
        raise Rejected("RULE frozen: it had been seen")
    return True


def fork(server: Server, document: Record, change: Change) -> None:
    """An edit of what has been sent, by who did not know, goes to the next revision."""
    copies = revision(server, document)
    there = copy.copy(change)
    there.record = copies.get(change.record, "")
    if change.do == "new":
        there.record = name_line(server, copies)
        there.values = {**change.values, "quote_id": copies[document.name]}
    elif change.do == "set" and change.record == document.name:
        content = {n: v for n, v in change.values.items() if document.entity.content(n)}
        rest = {n: v for n, v in change.values.items() if n not in content}
        there.values = content
        if rest:
            here = copy.copy(change)
            here.values = rest
            edit(server, here)
    if there.record:
        apply(server, there)
    server.records[copies[document.name]].work.append(Mark(server.position, change.who))
    note_revision(server, document, copies, holder_of(document).dev, change.who)
    server.merged = True
