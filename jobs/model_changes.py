"""What became of models, in order: which went live, which was set aside and why, which the owner went back to.

Kept as one value of the ledger, written in the transaction that makes the change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.domain.decisions import ModelState, ModelVersion
from core.ports import UnitOfWork

KEY = "model changes"
KEPT = 60


class Fate(StrEnum):
    """LIVE: trained and in use from then on. REJECTED: trained and never used. BACK: in use again by the owner's
    wish. WON: live because its recipe won a contest."""

    LIVE = "live"
    REJECTED = "rejected"
    BACK = "back"
    WON = "won"


@dataclass(frozen=True, slots=True)
class Change:
    """`at` by the market clock; `why` in words, empty where there is nothing to say."""

    at: datetime
    version: str
    fate: Fate
    why: str = ""


def note(work: UnitOfWork, change: Change) -> None:
    """In the caller's transaction."""
    kept = [*_read(work), change][-KEPT:]
    rows = [{"at": each.at.isoformat(), "version": each.version, "fate": each.fate, "why": each.why} for each in kept]
    work.set_value(KEY, json.dumps(rows))


def changes(work: UnitOfWork) -> Sequence[Change]:
    """The newest first."""
    return _read(work)[::-1]


def former(work: UnitOfWork) -> ModelVersion | None:
    """The model that was in use before the one that is; None where there was none."""
    champion = work.champion()
    if champion is None:
        return None
    for change in changes(work):
        found = work.model(change.version) if change.fate is not Fate.REJECTED else None
        if found is not None and found.state is ModelState.ARCHIVED:
            return found
    # A ledger of before changes were noted.
    return next((each for each in work.models() if each.state is ModelState.ARCHIVED), None)


def _read(work: UnitOfWork) -> list[Change]:
    """The oldest first."""
    return [
        Change(datetime.fromisoformat(each["at"]), each["version"], Fate(each["fate"]), each["why"])
        for each in json.loads(work.value(KEY) or "[]")
    ]
