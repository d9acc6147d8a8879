"""How the model's predictions turned out, counted once each as soon as their day has come (S6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from core.domain.bars import BarSize
from core.domain.decisions import Prediction
from core.domain.skill import TrackedPrediction
from core.learning.labels import event_name, is_hit
from core.ports import BarStore, UnitOfWorkFactory
from core.reporting import SCORED_FOR
from core.series import BarSeries


def score_predictions(now: datetime, uow: UnitOfWorkFactory, bars: BarStore, horizon: int) -> int:
    """Scores the journalled predictions whose event can be told by the daily bars closed at `now`; returns how many.

    A hit: the model gave the event more than one half and it happened, or not more and it did not. Predictions that
    have not come due wait. Those of another event than the `horizon`'s, or made from a bar that is older than
    SCORED_FOR or no longer stored, are never counted.
    """
    with uow() as work:
        pending = [each for each in work.unscored_predictions(now - SCORED_FOR) if each.event == event_name(horizon)]
    daily = _daily_bars(now, bars, pending)
    results = [(each, is_hit(each, daily[each.symbol], horizon)) for each in pending]
    due = [(each, hit) for each, hit in results if hit is not None]
    if due:
        with uow() as work:
            for each, hit in due:
                work.add_prediction_score(TrackedPrediction(each, hit == (each.probability > 0.5)))
            work.commit("scores")
    return len(due)


def _daily_bars(now: datetime, bars: BarStore, pending: Sequence[Prediction]) -> Mapping[str, BarSeries]:
    """The bars closed by `now`, from the oldest prediction on at least."""
    oldest = min((each.bar_closed_at for each in pending), default=now)
    count = (now - oldest) // timedelta(days=1) + 2
    return {symbol: bars.read(symbol, BarSize.D1, now, count) for symbol in {each.symbol for each in pending}}
