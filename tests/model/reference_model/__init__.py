# SPDX-License-Identifier: Apache-2.0
"""A reference model of how Daybook decides, written from the documents alone.

Where to look:

    tables, values          what fields there are, and when two values are equal
    records, server         what the server keeps
    decide                  the entry: one changeset is decided
    editing, deleting       records made, changed, deleted, brought back
    fields, states          one policy each: LATEST, MIN, MAX, SET, PROPOSE; STATE
    forks, revisions        quotes that were sent
    devices, scenarios      two devices play a scenario
    compare                 the program's outcome against the model's
    examples, self_test     the documents' examples against the model

Sources: the design pages (sync.md, domain.md section 4), PROTOCOL.md sections 6, 14 and 15,
docs/deciding.md, and the departures in ARCHITECTURE.md. Where they leave a question open, a comment
"open:" says so, with the rule that is taken here.

Not modelled, and counted as such where a scenario does it: orders, and two who send one quote. Not
modelled at all: twins and redirects, answers to proposals, GROW and DERIVED fields, holds, scopes
and handover, wrong clocks.
"""
