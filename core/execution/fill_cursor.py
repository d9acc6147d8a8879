"""How far a venue's fills and activities are booked: where the next question begins, and what of its answer is
known already."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache

from core.domain.portfolio import Fill
from core.domain.venue import Activity

OVERLAP = timedelta(days=1)
"""How far behind the newest booked fill the next query begins: a venue may report a fill late."""

REMEMBERED = timedelta(days=10)
"""How much longer booked fills are remembered: a venue answers by when it learned of a fill, later than it happened."""


def cursor_key(account: str) -> str:
    """The name under which the ledger keeps it."""
    return f"fills:{account}"


@dataclass(frozen=True, slots=True)
class FillCursor:
    """`floor` is when the account was opened; `booked` the newest booked fills with when they happened, `activities`
    likewise."""

    floor: datetime
    booked: Mapping[str, datetime]
    activities: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def since(self) -> datetime:
        newest = max(self.booked.values(), default=self.floor)
        return max(self.floor, newest - OVERLAP)

    def after(self, fills: Iterable[Fill], activities: Iterable[Activity] = ()) -> FillCursor:
        grown = replace(
            self,
            booked={**self.booked, **{fill.id: fill.at for fill in fills}},
            activities={**self.activities, **{activity.id: activity.at for activity in activities}},
        )
        oldest = grown.since - REMEMBERED
        return replace(
            grown,
            booked={name: at for name, at in grown.booked.items() if at >= oldest},
            activities={name: at for name, at in grown.activities.items() if at >= oldest},
        )

    def text(self) -> str:
        booked = {name: at.isoformat() for name, at in self.booked.items()}
        activities = {name: at.isoformat() for name, at in self.activities.items()}
        return json.dumps({"floor": self.floor.isoformat(), "booked": booked, "activities": activities})

    @staticmethod
    def of(text: str) -> FillCursor:
        return _read(text)


@lru_cache(maxsize=16)
def _read(text: str) -> FillCursor:
    """Read twice at every look, and written only with news."""
    stored = json.loads(text)
    booked = {name: datetime.fromisoformat(at) for name, at in stored["booked"].items()}
    activities = {name: datetime.fromisoformat(at) for name, at in stored.get("activities", {}).items()}
    return FillCursor(datetime.fromisoformat(stored["floor"]), booked, activities)
