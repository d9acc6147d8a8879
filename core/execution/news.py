"""What a venue tells that is new to us, each piece once and in the order in which it is booked. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import merge

from core.domain.orders import Side
from core.domain.portfolio import AdjustmentKind, Entry, Fill, PositionAdjustment
from core.domain.values import ZERO, plain
from core.domain.venue import Activity, Split


def new_fills(fills: Iterable[Fill], booked: frozenset[str]) -> tuple[Fill, ...]:
    """Each unknown fill once, by time; what was bought comes before what was sold at the same moment."""
    fresh = {fill.id: fill for fill in fills if fill.id not in booked}
    return tuple(sorted(fresh.values(), key=lambda fill: (fill.at, fill.side is Side.SELL, fill.id)))


def new_activities(activities: Iterable[Activity], booked: frozenset[str]) -> tuple[Activity, ...]:
    fresh = {activity.id: activity for activity in activities if activity.id not in booked}
    return tuple(sorted(fresh.values(), key=lambda activity: (activity.at, activity.id)))


def in_order(fills: Iterable[Fill], activities: Iterable[Activity]) -> tuple[Fill | Activity, ...]:
    """All news of one look by when it happened; a split comes before a fill of its very moment, in new units."""
    return tuple(merge(activities, fills, key=lambda news: news.at))


def entry_of(news: Fill | Activity) -> Entry:
    """What is booked for it: a split changes units and leaves what they cost."""
    if not isinstance(news, Split):
        return news
    note = f"split, {plain(news.ratio)} new for 1 old"
    return PositionAdjustment(
        news.id, news.account, news.symbol, AdjustmentKind.SPLIT, news.quantity, ZERO, news.at, note
    )
