"""What the committed search says about learning, in the one sentence that the product has to say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "research.json"


@cache
def committed_verdict() -> str:
    """The sentence for the figures that were committed with this program."""
    found: Mapping[str, Any] = json.loads(RESULTS.read_text("utf-8"))
    return verdict(found)


def verdict(found: Mapping[str, Any]) -> str:
    """The sentence for the figures `found` of a search."""
    if found["adds"]:
        return f"At equal volatility the forest has been shown to add something over the plain rule ({found['rule']})."
    where = "lies below zero: it did worse" if found["gain"]["high"] < 0.0 else "reaches below zero"
    return (
        f"Learning has not been shown to add anything over the plain rule ({found['rule']}): at equal volatility the"
        f" 90 % interval of the default's gain {where}."
    )
