"""Trainings of a past period: on what was known, when the live job would have made them, the same wherever they are
made, and none twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.backtest.forecasts import Forecasts, ModelsInTime, Rows
from core.series import seconds_of, time_of
from core.strategy.predictor import ForestPredictor
from jobs.fan_out import FanOut
from jobs.walk_forward import Cadence, Past, Task, carry_out, kept_promises, made, one_by_one, planned
from tests.forest_builders import SMALL, model_of, small_forest
from tests.series_builders import random_walk, series_of

pytestmark = pytest.mark.feature("S17")
SPY, QQQ = random_walk("SPY", 420, seed=8), random_walk("QQQ", 420, seed=9)
PAST = Past((SPY, QQQ), SMALL)
START, END = time_of(SPY.closed_at[299]), time_of(SPY.closed_at[-1])
WEEKS = Cadence(timedelta(days=28), 1)


def nothing() -> None:
    """Nobody watches."""


class Counted:
    """A Mapper that counts, and may die."""

    def __init__(self, die_after: int | None = None) -> None:
        self.done = 0
        self._most = die_after

    def __call__(self, task: Callable[[Task], bytes], tasks: Iterable[Task]) -> Iterator[bytes]:
        for each in tasks:
            if self.done == self._most:
                raise KeyboardInterrupt
            self.done += 1
            yield task(each)


def test_a_training_sees_only_labels_that_had_matured_by_then() -> None:
    for due in planned(PAST, START, END, WEEKS):
        for lesson in PAST.task(due).lessons:
            assert lesson.samples.labelled_at.max() < seconds_of(due)
        later = [
            replace(series, close=np.where(series.closed_at > seconds_of(due), 1e6, series.close))
            for series in PAST.daily
        ]
        poisoned = replace(PAST, daily=tuple(later)).task(due)
        assert poisoned.key() == PAST.task(due).key()


def test_trainings_come_when_enough_is_new_and_the_first_at_the_start() -> None:
    dues = planned(PAST, START, END, Cadence(timedelta(hours=1), 40))
    assert dues[0] == START
    known = [np.concatenate([each.samples.labelled_at for each in PAST.task(due).lessons]) for due in dues]
    fresh = [int((after > before.max()).sum()) for before, after in itertools.pairwise(known)]
    assert fresh
    assert min(fresh) >= 40
    assert max(fresh) <= 41


def test_what_is_finished_is_not_made_again_after_a_run_was_cut_short(tmp_path: Path) -> None:
    dues = planned(PAST, START, END, WEEKS)
    cut = Counted(die_after=2)
    with pytest.raises(KeyboardInterrupt):
        made(PAST, dues, tmp_path, cut, nothing)
    rest = Counted()
    seen = list[int]()
    found = made(PAST, dues, tmp_path, rest, lambda: seen.append(1))
    assert (cut.done, rest.done, len(seen)) == (2, len(dues) - 2, len(dues))
    whole = made(PAST, dues, tmp_path / "anew", one_by_one, nothing)
    assert [each.bundle.version for each in found] == [each.bundle.version for each in whole]
    assert [each.at for each in found] == dues


@pytest.mark.long
def test_two_processes_give_the_same_models_as_one(tmp_path: Path) -> None:
    dues = planned(PAST, START, END, WEEKS)[:2]
    alone = made(PAST, dues, tmp_path / "one", one_by_one, nothing)
    together = made(PAST, dues, tmp_path / "two", FanOut(2).map, nothing)
    assert [each.bundle.to_bytes() for each in together] == [each.bundle.to_bytes() for each in alone]


def test_another_recipe_or_another_bar_is_another_training() -> None:
    task = PAST.task(END)
    seeded = replace(SMALL, grower=replace(SMALL.grower, seed=1))
    assert replace(PAST, recipe=seeded).task(END).key() != task.key()
    assert replace(PAST, recipe=replace(SMALL, event="direction")).task(END).key() != task.key()
    assert replace(PAST, recipe=SMALL.on(7)).task(END).key() == task.key()
    assert PAST.task(END - timedelta(days=3)).key() != task.key()


def test_rows_of_one_outcome_alone_make_no_model() -> None:
    task = PAST.task(END)
    flat = [
        replace(each, samples=replace(each.samples, label=np.ones_like(each.samples.label))) for each in task.lessons
    ]
    assert carry_out(replace(task, lessons=tuple(flat))) == b""


def foreseen(folder: Path, until: datetime) -> tuple[ModelsInTime, ForestPredictor]:
    """A model trained at START: its forecasts made at once, and as the live engine asks for them."""
    (trained,) = made(PAST, [START], folder, one_by_one, nothing)
    rows = {series.symbol: Rows.of(series) for series in PAST.daily}
    bundle = trained.bundle
    forecasts = Forecasts.of(bundle, rows, seconds_of(START), seconds_of(until))
    row = replace(model_of(small_forest()), version=bundle.version)
    return ModelsInTime([(START, forecasts)]), ForestPredictor(bundle, row)


def test_forecasts_of_a_whole_period_are_those_of_the_live_predictor_bar_by_bar(tmp_path: Path) -> None:
    models, live = foreseen(tmp_path, END)
    for count in range(300, 420, 7):
        seen = SPY.part(slice(0, count))
        now = time_of(seen.closed_at[-1]) + timedelta(minutes=5)
        model = models.at(now)
        assert model is not None
        assert model.predict(seen) == live.predict(seen)
    assert models.at(START) is None


def test_a_forecast_that_was_never_made_is_an_error_and_no_silence(tmp_path: Path) -> None:
    models, _ = foreseen(tmp_path, time_of(SPY.closed_at[350]))
    model = models.at(END)
    assert model is not None
    with pytest.raises(KeyError, match="no forecast of SPY"):
        model.predict(SPY)


def test_promises_are_held_against_what_came_of_them() -> None:
    def sure(_symbol: str, _closes: object, at: np.ndarray) -> np.ndarray:
        return np.full(len(at), 0.62)

    rising = series_of("SPY", np.arange(1.0, 421.0), start=time_of(SPY.opened_at[0]), spread=0.0)
    found = kept_promises(replace(PAST, daily=(rising,)), sure, START)
    assert len(found.label) == 420 - 300 - 20
    assert found.groups() == [(pytest.approx(0.62), 1.0, 100)]
    assert found.brier == pytest.approx(0.38**2)
    assert found.base_rate == 1.0
