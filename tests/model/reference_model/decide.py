# SPDX-License-Identifier: Apache-2.0
"""Deciding one changeset: the entry to PROTOCOL.md section 14."""

from __future__ import annotations

import copy

from .editing import apply
from .forks import content_document, fork, stands
from .records import Change, Mark, Rejected
from .server import Server


def decide(server: Server, change: Change) -> None:
    """PROTOCOL.md section 14; all of it applies or nothing."""
    server.merged = False
    before = (copy.deepcopy(server.records), len(server.conflicts), len(server.proposals)) \
        if server.kinds.get(change.record) == "opportunity" else None
    try:
        server.position += 1
        document = content_document(server, change)
        if document and stands(document, change):
            fork(server, document, change)
        else:
            apply(server, change)
            if document:
                document.work.append(Mark(server.position, change.who))
        change.verdict = "merged" if server.merged else "accepted"
    except Rejected as why:
        server.position -= 1
        change.verdict = "rejected"
        server.say(f"refused: {why}")
        if before:      # only this entity is checked after merging; the others before
            server.records = before[0]
            del server.conflicts[before[1]:], server.proposals[before[2]:]
