"""How far a venue's fills are booked: where the next question begins, and what of its answer is known already."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.domain.portfolio import Fill

OVERLAP = timedelta(days=1)
"""How far behind the newest booked fill the next query begins: a venue may report a fill late."""

REMEMBERED = timedelta(days=10)
"""How much longer booked fills are remembered: a venue answers by when it learned of a fill, later than it happened."""


@dataclass(frozen=True, slots=True)
class FillCursor:
    """`floor` is when the account was opened; `booked` the newest booked fills with when they happened."""

    floor: datetime
    booked: Mapping[str, datetime]

    @property
    def since(self) -> datetime:
        newest = max(self.booked.values(), default=self.floor)
        return max(self.floor, newest - OVERLAP)

    def after(self, fills: Iterable[Fill]) -> FillCursor:
        grown = replace(self, booked={**self.booked, **{fill.id: fill.at for fill in fills}})
        oldest = grown.since - REMEMBERED
        return replace(grown, booked={name: at for name, at in grown.booked.items() if at >= oldest})

    def text(self) -> str:
        booked = {name: at.isoformat() for name, at in self.booked.items()}
        return json.dumps({"floor": self.floor.isoformat(), "booked": booked})

    @classmethod
    def of(cls, text: str) -> FillCursor:
        stored = json.loads(text)
        booked = {name: datetime.fromisoformat(at) for name, at in stored["booked"].items()}
        return cls(datetime.fromisoformat(stored["floor"]), booked)
