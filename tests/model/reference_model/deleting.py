# SPDX-License-Identifier: Apache-2.0
"""Records deleted and brought back: an edit wins against a delete that had not seen it, and a
document goes and comes with its lines.
"""

from __future__ import annotations

from typing import Optional

from .records import Change, Mark, Record, Rejected, Tomb, unseen
from .server import Server


def touch(server: Server, record: Record, change: Change) -> None:
    """An edit revives what was deleted unseen; one of a line is an edit of its document.

    open: whether an edit counts that changes nothing (the value that stands already, a
    proposal). Here it does: its author works on the record, and only fields under SERVER and
    DERIVED are said to be no edit.
    """
    mark = Mark(server.position, change.who)
    parent = record.entity.parent
    document = server.records.get(change.values.get(parent) or record.values.get(parent)) \
        if parent else None
    if document:
        document.edits.append(mark)
    record.edits.append(mark)
    if record.tomb:
        revive(server, record, change)
    if document and document.tomb:
        revive(server, document, change)


def revive(server: Server, record: Record, change: Change) -> None:
    """Edit wins against delete; a document comes back with its lines.

    open: on which records the entry `*` stands where a document comes back, and its values.
    Here: on the document, and on a line that was itself edited; not on lines that come back
    with it. The values are the words "edit" and "delete": the documents name none.
    """
    server.note(record.name, "*", "edit", "delete", change.who, record.tomb.dev)
    record.tomb = None
    server.say(f"{record.name} is revived")
    for line in server.lines_of(record):
        if line.tomb and not line.tomb.on_its_own:
            line.tomb = None
            server.say(f"{line.name} comes back with {record.name}")


def delete(server: Server, change: Change) -> None:
    record = server.records.get(change.record)
    if record is None:
        raise Rejected("REF_MISSING or DEPENDS: it is not there")
    # Each delete is compared with each edit: it stands only where nobody else edited unseen.
    # open: whether an edit still counts whose own author deleted the record afterwards. Here it
    # does, for the text knows only "concurrent edit and delete". It is the same in any order.
    editor = unseen_editor(record, change)
    if record.tomb:
        delete_again(server, record, change, editor)
    elif editor:
        server.note(change.record, "*", "edit", "delete", editor, change.who)
        for line in map(server.records.get, change.lines):
            line_editor = line and not line.tomb and unseen_editor(line, change)
            if line_editor:
                server.note(line.name, "*", "edit", "delete", line_editor, change.who)
    else:
        record.tomb = Tomb(server.position, change.who, True)
        server.say(f"{record.name} is deleted")
        for line in map(server.records.get, change.lines):
            if line and not line.tomb:
                line.tomb = Tomb(server.position, change.who, False)
                server.say(f"{line.name} goes with it")


def delete_again(server: Server, record: Record, change: Change, editor: Optional[str]) -> None:
    """It is deleted already: accepted. Where a line went with its document, this says that it
    was to go on its own, too, and it stays away when the document comes back.

    open: the verdict where such a delete meets an edit while the document is gone. Here
    accepted and without an entry, for nothing is seen to stand or lose.
    """
    server.say(f"{record.name} is deleted already")
    if record.entity.parent and not editor:
        record.tomb.on_its_own = True


def unseen_editor(record: Record, change: Change) -> Optional[str]:
    """Who edited the record (or a line of it), unseen by the author of the delete."""
    editors = [mark.dev for mark in record.edits if unseen(mark, change)]
    return editors[-1] if editors else None
