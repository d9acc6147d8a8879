"""Warnings that neither flap nor repeat: entered at once, over only after a time without any sign of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

RELEASE: Final = Decimal("1.5")
"""A price counts as far from the stop again at so many times the distance at which it was near."""
CALM: Final = timedelta(minutes=15)
"""So long nothing may be seen of it before it is over."""


class Level(StrEnum):
    """BETWEEN is neither: whatever held goes on."""

    DANGER = "danger"
    BETWEEN = "between"
    SAFE = "safe"


class Change(StrEnum):
    ENTERED = "entered"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Alarm:
    """`since` it is on; `calm_since` nothing is seen of it while it is still on."""

    since: datetime | None = None
    calm_since: datetime | None = None

    @property
    def is_on(self) -> bool:
        return self.since is not None


OFF: Final = Alarm()


def after(alarm: Alarm, level: Level, now: datetime, calm: timedelta = CALM) -> tuple[Alarm, Change | None]:
    """The alarm as it stands after a look, and what there is to tell."""
    if not alarm.is_on:
        return (Alarm(now), Change.ENTERED) if level is Level.DANGER else (alarm, None)
    if level is not Level.SAFE:
        return (replace(alarm, calm_since=None) if alarm.calm_since is not None else alarm), None
    if alarm.calm_since is None:
        return replace(alarm, calm_since=now), None
    return (OFF, Change.OVER) if now - alarm.calm_since >= calm else (alarm, None)


def near_distance(price: Decimal, atr: Decimal | None, fraction: Decimal | None, atr_share: Decimal | None) -> Decimal:
    """From how far above a stop a price counts as near it, in USD: `fraction` of the price or `atr_share` of a day's
    average true range, whichever is more; zero where both rules are off."""
    distances = [price * fraction] if fraction is not None else []
    if atr is not None and atr_share is not None:
        distances.append(atr * atr_share)
    return max(distances, default=Decimal(0))


def near_level(price: Decimal, stop: Decimal, distance: Decimal) -> Level:
    """At the stop and below the sale tells of itself: nothing is warned of, and nothing is over."""
    if distance <= 0:
        return Level.SAFE
    if price <= stop:
        return Level.BETWEEN
    if price - stop <= distance:
        return Level.DANGER
    return Level.SAFE if price - stop >= distance * RELEASE else Level.BETWEEN


def stale_level(missed: int, limit: int) -> Level:
    """`missed` bars should have come by now; `limit` zero: never a warning."""
    if limit <= 0:
        return Level.SAFE
    if missed >= limit:
        return Level.DANGER
    return Level.SAFE if missed <= 1 else Level.BETWEEN
