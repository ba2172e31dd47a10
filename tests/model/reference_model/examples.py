# SPDX-License-Identifier: Apache-2.0
"""Worked examples of the documents, by hand: what the self-test holds against the model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Example:
    """Done without a sync by a and b after both have the setup, then synced in the orders given."""
    source: str
    setup: list[tuple]                  # (who, do, record, values)
    steps: list[tuple]
    values: dict[str, Any]              # "r1.note": what everybody sees; "r1": None, it is gone
    conflicts: list[tuple] = field(default_factory=list)    # (record, field, kept, lost, lost_dev)
    proposals: list[tuple] = field(default_factory=list)    # (record, field, base, proposed)
    told: dict[str, str] = field(default_factory=dict)      # "ab a": verdicts of a in order ab
    orders: tuple = ("ab", "ba")
    role: str = "manager"
    kinds: dict[str, str] = field(default_factory=lambda: {"r1": "quote"})


QUOTE = ("a", "new", "r1", {"note": "first"})
NEW_LINE = {"quote_id": "r1", "product_id": "tea", "qty": "2000", "price_e4": "100000"}
LINE = ("a", "new", "l1", {**NEW_LINE, "qty": "1000"})
WITH_LINES = {"r1": "quote", "l1": "quote_line", "l2": "quote_line"}


def op(who: str, what: str, record: str, **values: Any) -> tuple:
    return (who, what, record, values)


EXAMPLES = [
    Example("deciding.md, nobody collides: different fields", [QUOTE],
            [op("a", "set", "r1", valid_to=20261231), op("b", "set", "r1", header_disc_bp=200)],
            {"r1.valid_to": 20261231, "r1.header_disc_bp": 200},
            told={"ab b": "accepted", "ba a": "accepted"}),
    Example("deciding.md, LATEST", [QUOTE],
            [op("a", "set", "r1", note="call back"), op("b", "set", "r1", note="samples")],
            {"r1.note": "samples"}, [("r1", "note", "samples", "call back", "a")],
            told={"ba a": "merged", "ba b": "accepted", "ab a": "accepted", "ab b": "merged"}),
    Example("deciding.md, two who say the same", [QUOTE],
            [op("a", "set", "r1", note="agreed"), op("b", "set", "r1", note="agreed")],
            {"r1.note": "agreed"}, told={"ab b": "accepted", "ba a": "accepted"}),
    Example("deciding.md, seen: no conflict", [QUOTE],
            [op("a", "set", "r1", note="call back"), ("a", "sync"), ("b", "sync"),
             op("b", "set", "r1", note="samples")],
            {"r1.note": "samples"}, told={"ab b": "accepted"}),
    Example("deciding.md, custom keys",
            [op("a", "new", "r1", name="n")],
            [op("a", "set", "r1", custom={"delivery": "back"}),
             op("b", "set", "r1", custom={"contract": "2027"})],
            {"r1.custom": {"contract": "2027", "delivery": "back"}}, kinds={"r1": "customer"}),
    Example("deciding.md, groups: never EUR 130",
            [op("a", "new", "r1", subject="s", amount="10000", cur="USD")],
            [op("a", "set", "r1", amount="9000", cur="EUR"), op("b", "set", "r1", amount="13000")],
            {"r1.amount": 13000, "r1.cur": "USD"},
            [("r1", "amount", 13000, 9000, "a"), ("r1", "cur", "USD", "EUR", "a")],
            kinds={"r1": "opportunity"}),
    Example("deciding.md, MIN and MAX",
            [op("a", "new", "r1", plan_day=20260101)],
            [op("a", "set", "r1", checkin_ts="905", checkin_tz_min=480),
             op("b", "set", "r1", checkin_ts="920", checkout_ts="950")],
            {"r1.checkin_ts": 905, "r1.checkin_tz_min": 480, "r1.checkout_ts": 950},
            [("r1", "checkin_ts", 905, 920, "b"), ("r1", "checkin_tz_min", 480, None, "b")],
            kinds={"r1": "visit"}),
    Example("deciding.md, MIN: not moved later by who has seen it",
            [op("a", "new", "r1", checkin_ts="905")],
            [op("a", "set", "r1", checkin_ts="930")],
            {"r1.checkin_ts": 905}, [("r1", "checkin_ts", 905, 930, "a")], told={"ab a": "merged"},
            kinds={"r1": "visit"}),
    Example("PROTOCOL.md, MIN: the rest of the group can be mended",
            [op("a", "new", "r1", checkin_ts="905", checkin_tz_min=480)],
            [op("b", "set", "r1", checkin_tz_min=60)],
            {"r1.checkin_ts": 905, "r1.checkin_tz_min": 60}, told={"ab b": "accepted"},
            kinds={"r1": "visit"}),
    Example("deciding.md, SET: different elements",
            [op("a", "new", "r1", outcome=["price", "shelf"])],
            [op("a", "set", "r1", outcome={"add": ["sample"]}),
             op("b", "set", "r1", outcome={"remove": ["shelf"]})],
            {"r1.outcome": ["price", "sample"]}, told={"ab b": "accepted", "ba a": "accepted"},
            kinds={"r1": "visit"}),
    Example("deciding.md, SET: adding stands against taking away",
            [op("a", "new", "r1", outcome=["price"])],
            [op("a", "set", "r1", outcome={"remove": ["price"]}),
             op("b", "set", "r1", outcome={"remove": ["price"]}),
             op("b", "set", "r1", outcome={"add": ["price"]})],
            {"r1.outcome": ["price"]},
            [("r1", "outcome", {"add": ["price"]}, {"remove": ["price"]}, "a")],
            told={"ab b": "accepted, merged", "ba a": "merged", "ba b": "accepted, accepted"},
            kinds={"r1": "visit"}),
    Example("deciding.md, PROPOSE by a rep",
            [op("a", "new", "r1", name="n", tax_no="1")], [op("a", "set", "r1", tax_no="2")],
            {"r1.tax_no": "1"}, proposals=[("r1", "tax_no", "1", "2")], told={"ab a": "merged"},
            kinds={"r1": "customer"}),
    Example("PROTOCOL.md, PROPOSE by who has the right",
            [op("a", "new", "r1", name="n", tax_no="1")], [op("b", "set", "r1", tax_no="2")],
            {"r1.tax_no": "2"}, told={"ab b": "accepted"}, role="back_office",
            kinds={"r1": "customer"}),
    Example("deciding.md, IMMUTABLE (past the device's engine)",
            [op("a", "new", "r1", cur="CNY")], [op("b", "set", "r1", cur="EUR", note="x")],
            {"r1.cur": "CNY", "r1.note": None}, told={"ab b": "rejected"}),
    Example("deciding.md, STATE: the step that goes further",
            [op("a", "new", "r1", plan_day=20260101)],
            [op("a", "set", "r1", status="in_progress"), op("b", "set", "r1", status="cancelled")],
            {"r1.status": "in_progress"}, [("r1", "status", "in_progress", "cancelled", "b")],
            told={"ab b": "merged", "ba a": "merged"}, kinds={"r1": "visit"}),
    Example("deciding.md, STATE: one resumes, another wins",
            [op("a", "new", "r1", subject="s", status="suspended")],
            [op("b", "set", "r1", status="tracking"), op("a", "set", "r1", status="won")],
            {"r1.status": "won"}, [("r1", "status", "won", "tracking", "b")],
            kinds={"r1": "opportunity"}),
    Example("domain.md section 4: a step up of a void epoch is never lost",
            [op("a", "new", "r1", subject="s", status="suspended")],
            [op("a", "set", "r1", status="tracking"), op("a", "set", "r1", status="won"),
             op("b", "set", "r1", status="lost", lost_reason="price")],
            {"r1.status": "won"}, [("r1", "status", "won", "lost", "b")], orders=("ab",),
            kinds={"r1": "opportunity"}),
    Example("deciding.md, STATE: a step that is not the rep's",
            [op("a", "new", "r1", plan_day=20260101)], [op("a", "set", "r1", status="verified")],
            {"r1.status": "planned"}, told={"ab a": "rejected"}, kinds={"r1": "visit"}),
    Example("PROTOCOL.md, PROPOSE: a rep's value never stands against one of who may decide",
            [op("a", "new", "r1", name="n")],
            [op("b", "set", "r1", tax_no="1"), op("b", "set", "r1", tax_no="2"),
             op("a", "set", "r1", tax_no="1")],
            {"r1.tax_no": "2"}, proposals=[("r1", "tax_no", None, "1")], orders=("ab",),
            role="back_office", kinds={"r1": "customer"}),
    Example("PROTOCOL.md, PROPOSE: nor where it is the one that stood",
            [op("a", "new", "r1", name="n")],
            [op("b", "set", "r1", tax_no="1"), ("b", "sync"), op("b", "set", "r1", tax_no="2"),
             op("a", "set", "r1", tax_no="1")],
            {"r1.tax_no": "2"}, orders=("ab",), role="back_office", kinds={"r1": "customer"}),
    Example("deciding.md, what was sent stands; the edit is in the next revision", [QUOTE, LINE],
            [op("b", "set", "r1", note="six weeks"), op("a", "set", "r1", status="sent")],
            {"r1.note": "first", "r1.status": "sent", "R2.note": "six weeks", "R2.status": "draft",
             "l1.qty": 1000, "L2a.qty": 1000},
            [("r1", "revision", "sent", {"id": "R2", "rev": 2}, "b")], kinds=WITH_LINES),
    Example("PROTOCOL.md, forks: one entry for each changeset", [QUOTE, LINE],
            [op("b", "set", "r1", note="x"), op("b", "set", "r1", note="y"), ("b", "delete", "l1"),
             op("a", "set", "r1", status="sent")],
            {"r1.note": "first", "l1.qty": 1000, "R2.note": "y"},
            [("r1", "revision", "sent", {"id": "R2", "rev": 2}, "b")] * 3, kinds=WITH_LINES),
    Example("PROTOCOL.md, forks: none for what the sender had seen", [QUOTE, LINE],
            [op("b", "set", "r1", note="x"), ("b", "sync"), ("a", "sync"),
             op("b", "set", "l1", qty="5000"), op("a", "set", "r1", status="sent")],
            {"r1.note": "x", "l1.qty": 1000, "R2.note": "x", "L2a.qty": 5000},
            [("r1", "revision", "sent", {"id": "R2", "rev": 2}, "b")], kinds=WITH_LINES),
    Example("PROTOCOL.md, frozen: who had seen that it was sent", [QUOTE],
            [op("a", "set", "r1", status="sent"), ("a", "sync"), ("b", "sync"),
             op("b", "set", "r1", note="x")],
            {"r1.note": "first"}, told={"ab b": "rejected"}),
    Example("PROTOCOL.md, no addition to what was seen deleted", [QUOTE],
            [("a", "delete", "r1"), ("a", "sync"), ("b", "sync"), ("b", "new", "l1", NEW_LINE)],
            {"r1": None}, told={"ab b": "rejected"}, kinds=WITH_LINES),
    Example("deciding.md, lines added on both sides", [QUOTE],
            [("a", "new", "l1", NEW_LINE), ("b", "new", "l2", NEW_LINE)],
            {"l1.qty": 2000, "l2.qty": 2000}, kinds=WITH_LINES),
    Example("deciding.md, edit wins against delete (X3)", [QUOTE, LINE],
            [("a", "delete", "l1"), op("b", "set", "l1", qty="5000")],
            {"l1.qty": 5000}, [("l1", "*", "edit", "delete", "a")],
            told={"ab b": "merged", "ba a": "merged"}, kinds=WITH_LINES),
    Example("domain.md X3: a delete based on the edit stands", [QUOTE, LINE],
            [op("b", "set", "l1", qty="5000"), ("b", "sync"), ("a", "sync"), ("a", "delete", "l1")],
            {"l1": None, "r1.note": "first"}, kinds=WITH_LINES, told={"ab a": "accepted"}),
    Example("deciding.md, a new line is an edit of the document", [QUOTE, LINE],
            [("a", "delete", "r1"), ("b", "new", "l2", NEW_LINE)],
            {"r1.note": "first", "l1.qty": 1000, "l2.qty": 2000},
            [("r1", "*", "edit", "delete", "a")], kinds=WITH_LINES),
    Example("sync.md 5: back with all lines that were not deleted on their own",
            [QUOTE, LINE, ("a", "new", "l2", NEW_LINE)],
            [("a", "delete", "r1"), ("b", "delete", "l2"), op("b", "set", "r1", note="on it")],
            {"r1.note": "on it", "l1.qty": 1000, "l2": None}, [("r1", "*", "edit", "delete", "a")],
            kinds=WITH_LINES),
    Example("deciding.md, a document that nobody works on is gone", [QUOTE, LINE],
            [("a", "delete", "r1")], {"r1": None, "l1": None}, told={"ab a": "accepted"},
            kinds=WITH_LINES),
    Example("deciding.md, REF_MISSING for what names a deleted record",
            [op("a", "new", "r1", name="n")],
            [("a", "delete", "r1"), op("b", "new", "r2", customer_id="r1", feedback="f")],
            {"r1": None}, told={"ab b": "rejected"}, orders=("ab",),
            kinds={"r1": "customer", "r2": "visit"}),
]
