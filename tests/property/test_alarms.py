"""Warnings over any walk of a price or silence of a source: told once as they begin, once when over, never flapping."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.strategy.alarms import CALM, OFF, RELEASE, Change, Level, after, near_distance, near_level, stale_level

START = datetime(2026, 3, 2, 15, tzinfo=UTC)
LOOKS = st.lists(st.tuples(st.sampled_from(list(Level)), st.integers(1, 20)), max_size=60)
PRICE = st.decimals("0.01", "100000", places=2)
PART = st.none() | st.decimals("0.001", "1", places=3)


@pytest.mark.feature("I6")
@given(LOOKS)
def test_it_begins_at_the_first_sign_and_is_over_after_a_whole_calm_and_not_before(
    looks: list[tuple[Level, int]],
) -> None:
    alarm, now, told = OFF, START, list[tuple[Change, datetime]]()
    seen: list[tuple[datetime, Level]] = []
    for level, minutes in looks:
        now += timedelta(minutes=minutes)
        seen.append((now, level))
        was_on = alarm.is_on
        alarm, change = after(alarm, level, now)
        assert alarm.is_on == (was_on if change is None else change is Change.ENTERED)
        if level is Level.DANGER:
            assert alarm.is_on
        if change is not None:
            told.append((change, now))
    kinds = [change for change, _ in told]
    assert kinds == [Change.ENTERED, Change.OVER] * (len(kinds) // 2) + [Change.ENTERED] * (len(kinds) % 2)
    for change, at in told:
        if change is Change.OVER:
            calm = [level for when, level in seen if at - CALM <= when <= at]
            assert set(calm) == {Level.SAFE}
        else:
            assert dict(seen)[at] is Level.DANGER
    for (_, earlier), (change, later) in pairwise(told):
        assert change is Change.ENTERED or later - earlier >= CALM


@pytest.mark.feature("I6")
@given(LOOKS)
def test_looking_twice_at_the_same_moment_tells_nothing_twice(looks: list[tuple[Level, int]]) -> None:
    alarm, now = OFF, START
    for level, minutes in looks:
        now += timedelta(minutes=minutes)
        alarm, _ = after(alarm, level, now)
        again, repeated = after(alarm, level, now)
        assert repeated is None
        assert again.is_on == alarm.is_on


@pytest.mark.feature("I6")
@given(PRICE, PRICE, st.none() | PRICE, PART, PART)
def test_danger_lies_between_the_stop_and_the_distance_and_safety_half_as_far_again(
    price: Decimal, stop: Decimal, atr: Decimal | None, fraction: Decimal | None, share: Decimal | None
) -> None:
    distance = near_distance(price, atr, fraction, share)
    level = near_level(price, stop, distance)
    away = price - stop
    if fraction is None and (share is None or atr is None):
        assert level is Level.SAFE
    elif away <= 0:
        assert level is Level.BETWEEN
    else:
        assert (level is Level.DANGER) == (away <= distance)
        assert (level is Level.SAFE) == (away >= distance * RELEASE)
        near_by_share = share is not None and atr is not None and away <= atr * share
        assert (level is Level.DANGER) == ((fraction is not None and away <= price * fraction) or near_by_share)


@given(st.integers(0, 400), st.integers(0, 50))
def test_a_silence_is_old_from_its_limit_on_and_over_with_at_most_one_bar_missing(missed: int, limit: int) -> None:
    level = stale_level(missed, limit)
    assert (level is Level.DANGER) == (0 < limit <= missed)
    if level is Level.BETWEEN:
        assert 1 < missed < limit
