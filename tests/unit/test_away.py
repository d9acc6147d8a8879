"""The owner who is away: told before, nothing new is bought, exits go on, and any sign of him ends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bot.markup import visible
from bot.render import render
from core.domain.decisions import BrakeKind
from core.domain.events import BrakeSet, OwnerReturned, OwnerSilent
from core.domain.values import ZERO
from core.execution import away
from tests.builders import COIN, Bench, an_entry

DAY = timedelta(days=1)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path).start()
    away.look(bench.desk)
    return bench


def after(bench: Bench, span: timedelta) -> str:
    bench.clock.advance(span)
    bench.system.advance(span)
    return away.look(bench.desk)


def told(bench: Bench, *kinds: type) -> list[object]:
    rows = bench.read(lambda work: work.messages(1000))
    return [row.event for row in reversed(rows) if isinstance(row.event, kinds)]


def brakes(bench: Bench) -> list[BrakeKind]:
    return [brake.kind for brake in bench.read(lambda work: work.brakes())]


@pytest.mark.feature("C9")
def test_silence_is_told_two_days_before_and_when_it_counts_each_once(bench: Bench) -> None:
    after(bench, 12 * DAY - timedelta(minutes=1))
    assert told(bench, OwnerSilent) == []
    for _ in range(3):
        after(bench, timedelta(minutes=1))
    (warning,) = told(bench, OwnerSilent)
    assert warning.until - warning.since == 14 * DAY
    assert brakes(bench) == []
    after(bench, 2 * DAY)
    after(bench, DAY)
    (event,) = told(bench, BrakeSet)
    assert (event.kind, event.scope) == (BrakeKind.AWAY, "*")
    assert brakes(bench) == [BrakeKind.AWAY]


@pytest.mark.feature("C9")
def test_while_he_is_away_nothing_is_bought_and_stops_still_sell(bench: Bench) -> None:
    bench.place(an_entry(bench))
    bench.bar(100)
    bench.reconcile()
    after(bench, 15 * DAY)
    bench.bar(100)
    bench.tick()
    signal = bench.read(lambda work: work.last_signals())[COIN]
    assert [verdict.passed for verdict in signal.verdicts if verdict.gate == "brakes"] == [False]
    bench.bar(90)
    bench.reconcile()
    assert bench.read(lambda work: work.portfolio("simulated")).quantity(COIN) == ZERO


@pytest.mark.feature("C9")
def test_any_sign_lifts_it_at_once_and_the_welcome_fits_one_screen(bench: Bench) -> None:
    after(bench, 15 * DAY)
    assert bench.owner.present() is True
    assert brakes(bench) == []
    (event,) = told(bench, OwnerReturned)
    assert event.at - event.since == 15 * DAY
    shown = visible(render(event, ZoneInfo("UTC")).text)
    assert shown.count("\n") <= 14
    assert "15 d" in shown
    assert bench.owner.present() is False
    assert len(told(bench, OwnerReturned)) == 1
    assert after(bench, DAY) == "the owner is here"


@pytest.mark.feature("C9")
def test_a_sign_after_the_warning_starts_the_count_anew(bench: Bench) -> None:
    after(bench, 13 * DAY)
    bench.owner.present()
    after(bench, 11 * DAY)
    assert len(told(bench, OwnerSilent)) == 1
    after(bench, DAY)
    assert len(told(bench, OwnerSilent)) == 2
    assert brakes(bench) == []


@pytest.mark.feature("C9")
def test_zero_days_means_never(bench: Bench) -> None:
    bench.policy = replace(bench.policy, away_after=timedelta())
    after(bench, 400 * DAY)
    assert brakes(bench) == []
    assert told(bench, OwnerSilent) == []
