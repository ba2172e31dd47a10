# SPDX-License-Identifier: Apache-2.0
"""Values as JSON has them, and when two are equal."""

from __future__ import annotations

import json
from typing import Any

NUMBERS_AS_TEXT = {"MONEY", "PRICE", "QUANTITY", "TIME"}


def canonical(value: Any, kind: str) -> Any:
    """Equal values become equal: 64-bit numbers from text, sets sorted, empty is None."""
    if kind in NUMBERS_AS_TEXT and isinstance(value, str):
        return int(value)
    if kind == "SET" and isinstance(value, list):
        return sorted(value) or None
    if kind == "MAP" and isinstance(value, dict):
        return value or None
    return value


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
