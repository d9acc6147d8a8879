from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from core.domain.bars import BarSize
from core.domain.decisions import Decision, Prediction
from core.domain.instruments import instrument_for
from core.domain.values import exact
from core.learning import growing, recipes
from core.learning.events import EVENTS, Outcomes
from core.learning.fitting import Pool
from core.learning.growing import lessons_of
from core.learning.samples import Samples
from core.ports import Predictor
from core.series import BarSeries, Floats, Mask, seconds_of, time_of
from core.strategy.decide import decide
from core.strategy.features import FeatureTrack, feature_matrix
from core.strategy.policy import Policy
from core.strategy.snapshot import MarketView, Snapshot
from tests.forest_builders import SMALL, predictor_of, small_forest
from tests.lookahead import LooksAhead, assert_no_lookahead
from tests.series_builders import START, random_walk, real_daily
from tests.snapshot_builders import snapshot

POOLED = replace(SMALL, pool=Pool.POOLED)
DAILY = [random_walk("SPY", 330, seed=1), random_walk("BTC-USD", 330, seed=2)]
MOMENTS = [START + timedelta(days=count) for count in (120, 200, 201, 250, 319)]


def known_features(series: Sequence[BarSeries], at: datetime) -> object:
    return [feature_matrix(each)[each.closed_at <= seconds_of(at)] for each in series]


def newest_features(series: Sequence[BarSeries], at: datetime) -> object:
    return [FeatureTrack().newest(each.until(at)) for each in series]


def known_labels(series: Sequence[BarSeries], at: datetime) -> Samples:
    (lesson,) = lessons_of(series, POOLED)
    return lesson.samples.where(lesson.samples.labelled_at <= seconds_of(at))


def known_training_rows(series: Sequence[BarSeries], at: datetime) -> Samples:
    """What a model trained just after `at` learns from."""
    (lesson,) = lessons_of(series, POOLED)
    return lesson.until(at + timedelta(seconds=1), POOLED.grower.window).samples


def as_seen(daily: BarSeries, at: datetime) -> MarketView:
    """A view that holds later bars too: that decide must not look at them is what is tested. The price is honest."""
    closes = daily.close[daily.closed_at <= seconds_of(at)]
    price = exact(float(closes[-1])) if len(closes) else None
    instrument = instrument_for(daily.symbol)
    return MarketView(instrument, daily, replace(daily, size=BarSize.D1), price, at, True, at)


def snapshot_at(series: Sequence[BarSeries], at: datetime) -> Snapshot:
    return replace(snapshot(*(as_seen(each, at) for each in series), now=at), origin=at.isoformat())


def decided_with(
    make: Callable[[Sequence[BarSeries]], Predictor],
) -> Callable[[Sequence[BarSeries], datetime], Decision]:
    # A threshold and band that let some of the decisions of a random walk be purchases.
    policy = Policy(min_probability=0.5, rsi_low=40, rsi_high=80)
    return lambda series, at: decide(snapshot_at(series, at), make(series), policy)


def honest_predictor(series: Sequence[BarSeries]) -> Predictor:
    forest = small_forest()
    return predictor_of(forest)


class Prophet:
    """A cheat: it keeps the whole history and answers with the move of bar t + 1 as if that were a feature."""

    version = "prophet"

    def __init__(self, series: Sequence[BarSeries]) -> None:
        self._series = {each.symbol: each for each in series}

    def predict(self, daily: BarSeries) -> Prediction:
        whole, at = self._series[daily.symbol], int(daily.closed_at[-1])
        following = int(np.searchsorted(whole.closed_at, at, side="right"))
        rises = following < len(whole) and whole.close[following] > daily.close[-1]
        return Prediction(daily.symbol, 0.9 if rises else 0.1, "cheat", self.version, time_of(at))


def features_with_tomorrow(series: BarSeries) -> Floats:
    """A cheat: the rate of change of bar t + 1 in the place of bar t's."""
    rows = feature_matrix(series)
    rows[:-1, 7] = series.close[1:] / series.close[:-1] - 1.0
    return rows


@pytest.mark.feature("S4")
@pytest.mark.parametrize("answer", [known_features, newest_features, known_labels, known_training_rows])
def test_features_labels_and_training_rows_do_not_look_ahead(answer: Callable[..., object]) -> None:
    assert_no_lookahead(answer, DAILY, MOMENTS)


@pytest.mark.feature("S7")
def test_decisions_do_not_look_ahead() -> None:
    assert_no_lookahead(decided_with(honest_predictor), DAILY, MOMENTS)


@pytest.mark.feature("S7")
def test_the_decisions_that_were_compared_include_purchases() -> None:
    answer = decided_with(honest_predictor)
    moments = [START + timedelta(days=count) for count in range(120, 320, 4)]
    assert any(answer(DAILY, at).orders for at in moments)
    assert_no_lookahead(answer, DAILY, [at for at in moments if answer(DAILY, at).orders][:3])


@pytest.mark.shared_data
@pytest.mark.feature("S4")
def test_nothing_looks_ahead_on_real_bars() -> None:
    series = [real_daily("SPY").last(700), real_daily("BTC-USD").last(700)]
    moments = [time_of(series[0].closed_at[index]) for index in (150, 400, 650)]
    for answer in (known_features, known_labels, known_training_rows, decided_with(honest_predictor)):
        assert_no_lookahead(answer, series, moments)


@pytest.mark.feature("S4")
def test_a_feature_that_reads_the_next_bar_is_caught() -> None:
    def cheating(series: Sequence[BarSeries], at: datetime) -> object:
        return [features_with_tomorrow(each)[each.closed_at <= seconds_of(at)] for each in series]

    with pytest.raises(LooksAhead, match="truncation"):
        assert_no_lookahead(cheating, DAILY, MOMENTS)


@pytest.mark.feature("S7")
def test_a_strategy_that_trades_on_the_next_bar_is_caught() -> None:
    with pytest.raises(LooksAhead):
        assert_no_lookahead(decided_with(Prophet), DAILY, MOMENTS)


@pytest.mark.feature("S4")
def test_a_label_that_leaks_into_the_features_is_caught() -> None:
    def cheating(series: Sequence[BarSeries], at: datetime) -> object:
        leaked = []
        for each in series:
            rows = feature_matrix(each)
            told = EVENTS["scaled"].outcomes(each, 0.0).label
            rows[: len(told), 0] = told
            leaked.append(rows[each.closed_at <= seconds_of(at)])
        return leaked

    with pytest.raises(LooksAhead):
        assert_no_lookahead(cheating, DAILY, MOMENTS)


@pytest.mark.feature("S4")
def test_labels_that_reach_into_the_test_days_are_caught_when_the_purge_is_taken_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without_purge(rows: Samples, at: int, _window: int | None) -> Mask:
        return rows.closed_at < at

    assert_no_lookahead(known_training_rows, DAILY, MOMENTS)
    monkeypatch.setattr(growing, "known", without_purge)
    with pytest.raises(LooksAhead):
        assert_no_lookahead(known_training_rows, DAILY, MOMENTS)


@pytest.mark.feature("S7")
def test_decisions_are_caught_looking_ahead_when_the_cut_at_now_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = decided_with(honest_predictor)
    assert_no_lookahead(answer, DAILY, MOMENTS)
    monkeypatch.setattr(BarSeries, "until", lambda series, end: series)
    with pytest.raises(LooksAhead):
        assert_no_lookahead(answer, DAILY, MOMENTS)


@pytest.mark.feature("S4")
def test_a_label_that_looks_one_bar_further_than_its_horizon_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = EVENTS["scaled"]

    def too_far(bars: BarSeries, cost: float) -> Outcomes:
        found = honest.outcomes(bars, cost)
        later = np.minimum(np.arange(len(found.label)) + honest.horizon + 1, len(bars) - 1)
        return replace(found, label=(bars.close[later] > bars.close[: len(found.label)]).astype(np.int8))

    monkeypatch.setattr(recipes, "EVENTS", {"scaled": replace(honest, _outcomes=too_far)})
    with pytest.raises(LooksAhead):
        assert_no_lookahead(known_labels, DAILY, MOMENTS)
