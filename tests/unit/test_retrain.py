from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.adapters.model_files import ModelFiles
from core.domain.bars import BarSize
from core.domain.decisions import ModelState
from core.domain.events import ModelTrained
from core.domain.instruments import instrument_for
from core.domain.views import AnswerKind
from core.errors import DataFault, Transient
from core.learning.growing import labelled_moments, lessons_of
from core.learning.training import TrainingOutcome
from core.learning.validation import Scores
from core.series import BarSeries, time_of
from core.storage.store import Database, open_database
from core.strategy.predictor import ForestPredictor
from jobs.going_back import HOLDS, go_back
from jobs.model_changes import Fate, changes
from jobs.retrain import objection, retrain
from jobs.schedule import JobSkipped
from jobs.worker import SpawnedWorker
from tests.fakes_bars import MemoryBarStore
from tests.forest_builders import SMALL
from tests.series_builders import random_walk

pytestmark = pytest.mark.feature("S4")

SERIES = {name: random_walk(name, 700, seed=seed) for seed, name in enumerate(("SPY", "QQQ"), 51)}
RECIPE = SMALL
NOW = time_of(SERIES["SPY"].closed_at[599]) + timedelta(hours=1)
DAY = timedelta(days=1)


class InlineWorker:
    """The Worker port in this very process, counting; `spoil` may change what comes back."""

    def __init__(self, spoil: Callable[[Any], Any] = lambda value: value) -> None:
        self.runs = 0
        self._spoil = spoil

    def run(self, task: Callable[..., Any], *arguments: Any, deadline: float) -> Any:
        self.runs += 1
        return self._spoil(task(*arguments))


class House:
    """A ledger, bars and a models folder, as a process has them."""

    def __init__(self, folder: Path) -> None:
        self.models = folder / "models"
        self.database: Database = open_database(folder / "ledger.db", durable=False)
        self.bars = MemoryBarStore()
        for series in SERIES.values():
            self.bars.write(series, "test")

    def retrain(self, now: datetime, worker: Any, **changes: Any) -> str:
        known: dict[str, Any] = {
            "uow": self.database.unit_of_work,
            "bars": self.bars,
            "instruments": [instrument_for(symbol) for symbol in SERIES],
            "worker": worker,
            "models_folder": self.models,
            "recipe": RECIPE,
        }
        return retrain(now, **{**known, **changes})

    def champion(self) -> Any:
        with self.database.reading() as work:
            return work.champion()

    def told(self) -> list[ModelTrained]:
        with self.database.reading() as work:
            return [row.event for row in work.messages() if isinstance(row.event, ModelTrained)]


@pytest.fixture
def house(tmp_path: Path) -> Any:
    built = House(tmp_path)
    yield built
    built.database.close()


def test_a_first_training_makes_a_champion_that_loads_and_tells_of_it(house: House) -> None:
    line = house.retrain(NOW, InlineWorker())
    model = house.champion()
    assert model.version in line and "live" in line
    assert re.search(r"against 0\.\d{4} \(better by QQQ [+-]0\.\d{4}, SPY [+-]0\.\d{4}\); live$", line)
    assert (model.trained_at, model.last_bar_at) == (NOW, time_of(SERIES["SPY"].closed_at[599]))
    assert (model.recipe, model.event) == (RECIPE.name, RECIPE.foresees.words)
    predictor = ModelFiles(house.models, ForestPredictor.from_bytes).load(model)
    assert predictor.predict(SERIES["SPY"].until(NOW)) is not None
    (event,) = house.told()
    assert (event.version, event.promoted, event.rows) == (model.version, True, model.rows)


def test_training_is_skipped_with_the_reason_until_enough_labels_are_new(house: House) -> None:
    worker = InlineWorker()
    house.retrain(NOW, worker)
    with pytest.raises(JobSkipped, match="0 new labelled rows, 12 make"):
        house.retrain(NOW, worker)
    with pytest.raises(JobSkipped, match="10 new labelled rows"):
        house.retrain(NOW + 5 * DAY, worker)
    assert worker.runs == 1
    first = house.champion().version
    house.retrain(NOW + 6 * DAY, worker)
    assert worker.runs == 2
    assert house.champion().version != first
    with house.database.reading() as work:
        assert [model.state for model in work.models()] == [ModelState.CHAMPION, ModelState.ARCHIVED]


def test_a_model_learns_only_from_bars_closed_by_now(house: House, tmp_path: Path) -> None:
    house.retrain(NOW, InlineWorker())
    (tmp_path / "past").mkdir()
    past = House(tmp_path / "past")
    past.bars = MemoryBarStore()
    for series in SERIES.values():
        past.bars.write(series.until(NOW), "test")
    past.retrain(NOW, InlineWorker())
    assert past.champion() == house.champion()
    past.database.close()


def test_too_little_history_is_a_reason_not_a_failure(house: House) -> None:
    worker = InlineWorker()
    with pytest.raises(JobSkipped, match="QQQ has 0 usable daily bars, about 151 needed; SPY has 0 usable"):
        house.retrain(time_of(SERIES["SPY"].closed_at[50]), worker)
    with pytest.raises(JobSkipped, match="QQQ has 80 usable daily bars"):
        house.retrain(time_of(SERIES["SPY"].closed_at[199]), worker)
    with pytest.raises(JobSkipped, match="there are no assets"):
        house.retrain(NOW, worker, instruments=[])
    assert house.champion() is None
    assert worker.runs == 0


def test_damaged_files_are_made_whole_again_by_force(house: House) -> None:
    house.retrain(NOW, InlineWorker())
    model = house.champion()
    (house.models / model.flat_path).write_bytes(b"garbage")
    store = ModelFiles(house.models, ForestPredictor.from_bytes)
    with pytest.raises(DataFault):
        store.load(model)
    assert "same again" in house.retrain(NOW, InlineWorker(), force=True)
    assert store.load(house.champion()).version == model.version
    assert len(house.told()) == 1


def worsened(by: float) -> Callable[[TrainingOutcome], TrainingOutcome]:
    def spoil(outcome: TrainingOutcome) -> TrainingOutcome:
        base = outcome.scores.baseline_log_loss
        return replace(outcome, scores=replace(outcome.scores, log_loss=base + by))

    return spoil


def test_a_model_far_worse_than_the_base_rate_is_rejected_and_the_former_stays(house: House) -> None:
    house.retrain(NOW, InlineWorker())
    former = house.champion()
    later = NOW + 30 * DAY
    line = house.retrain(later, InlineWorker(worsened(0.06)))
    assert "rejected" in line and "the former model stays" in line
    assert house.champion() == former
    assert [event.promoted for event in sorted(house.told(), key=lambda event: event.last_bar_at)] == [True, False]
    with pytest.raises(JobSkipped, match="0 new labelled rows"):
        house.retrain(later, InlineWorker())
    with pytest.raises(JobSkipped, match="set aside"):
        house.retrain(later, InlineWorker(), force=True)


@pytest.mark.feature("S5")
def test_what_goes_live_and_what_is_rejected_is_noted_with_its_reason(house: House) -> None:
    house.retrain(NOW, InlineWorker())
    house.retrain(NOW + 30 * DAY, InlineWorker(worsened(0.06)))
    with house.database.reading() as work:
        rejected, live = changes(work)
    assert (live.at, live.version, live.fate, live.why) == (NOW, house.champion().version, Fate.LIVE, "")
    assert (rejected.at, rejected.fate) == (NOW + 30 * DAY, Fate.REJECTED)
    assert "0.0600 above the base rate's" in rejected.why


@pytest.mark.feature("S5")
def test_training_waits_while_the_owner_wants_an_earlier_model(house: House) -> None:
    worker = InlineWorker()
    house.retrain(NOW, worker)
    first = house.champion().version
    house.retrain(NOW + 20 * DAY, worker)
    store = ModelFiles(house.models, ForestPredictor.from_bytes)
    second, back = house.champion().version, NOW + 21 * DAY
    uow = house.database.unit_of_work
    assert go_back(first, second, uow=uow, store=store, now=back, by="owner").kind is AnswerKind.DONE
    with pytest.raises(JobSkipped, match=f"you went back to model {first}; training waits until"):
        house.retrain(back + 20 * DAY, worker)
    assert house.champion().version == first
    assert "live" in house.retrain(back + HOLDS, worker)
    assert house.champion().version != first


@pytest.mark.feature("S5")
def test_what_the_owner_goes_back_to_while_a_refit_is_trained_stays_in_use(house: House) -> None:
    house.retrain(NOW, InlineWorker())
    first = house.champion().version
    house.retrain(NOW + 20 * DAY, InlineWorker())
    second, store = house.champion().version, ModelFiles(house.models, ForestPredictor.from_bytes)

    def meanwhile(outcome: TrainingOutcome) -> TrainingOutcome:
        go_back(first, second, uow=house.database.unit_of_work, store=store, now=NOW + 40 * DAY, by="owner")
        return outcome

    with pytest.raises(JobSkipped, match="another model came into use while this one was trained"):
        house.retrain(NOW + 40 * DAY, InlineWorker(meanwhile))
    assert house.champion().version == first
    assert len(house.told()) == 2


@pytest.mark.feature("S5")
def test_damaged_files_of_a_model_that_was_gone_back_to_do_not_wait(house: House) -> None:
    house.retrain(NOW, InlineWorker())
    first = house.champion().version
    house.retrain(NOW + 20 * DAY, InlineWorker())
    store = ModelFiles(house.models, ForestPredictor.from_bytes)
    second = house.champion().version
    go_back(first, second, uow=house.database.unit_of_work, store=store, now=NOW + 21 * DAY, by="owner")
    assert "live" in house.retrain(NOW + 30 * DAY, InlineWorker(), force=True)


def test_a_score_that_is_no_number_is_an_error_and_changes_nothing(house: House) -> None:
    with pytest.raises(DataFault, match="not a number"):
        house.retrain(NOW, InlineWorker(worsened(float("nan"))))
    assert house.champion() is None
    assert house.told() == []


@pytest.mark.parametrize(("excess", "fine"), [(-0.1, True), (0.0499, True), (0.0501, False), (float("inf"), False)])
def test_the_limit_is_a_twentieth_of_a_nat_above_the_baseline(excess: float, fine: bool) -> None:
    assert (objection(Scores(100, 0.5, 0.5 + excess, 0.5, 0.5)) == "") is fine


def test_a_worker_that_dies_leaves_the_ledger_as_it_was(house: House) -> None:
    class Dying:
        def run(self, task: Any, *arguments: Any, deadline: float) -> Any:
            raise Transient("the worker process died")

    with pytest.raises(Transient):
        house.retrain(NOW, Dying())
    assert house.champion() is None


def test_the_real_worker_trains_the_same_model_as_this_process(house: House) -> None:
    house.retrain(NOW, InlineWorker())
    assert "same again" in house.retrain(NOW, SpawnedWorker(), force=True)


def test_an_asset_that_the_owner_adds_is_learned_from_at_once_where_it_has_enough_to_teach(house: House) -> None:
    worker, young = InlineWorker(), random_walk("NEW", 700, seed=61)
    instruments = [instrument_for(symbol) for symbol in (*SERIES, "NEW")]
    house.retrain(NOW, worker)
    house.bars.write(young.until(NOW).last(150), "test")
    with pytest.raises(JobSkipped, match="0 new labelled rows"):
        house.retrain(NOW, worker, instruments=instruments, unseen=["NEW"], min_new_labels=100)
    house.bars.write(young, "test")
    assert "live" in house.retrain(NOW, worker, instruments=instruments, unseen=["NEW"])
    with pytest.raises(JobSkipped):
        house.retrain(NOW, worker, instruments=instruments)


def test_the_rows_that_are_counted_as_new_are_those_that_are_learned_from() -> None:
    for stride in (1, 3):
        recipe = replace(RECIPE, grower=replace(RECIPE.grower, stride=stride))
        for series, lesson in zip(
            sorted(SERIES.values(), key=lambda each: each.symbol), lessons_of([*SERIES.values()], recipe), strict=True
        ):
            assert labelled_moments(series, recipe).tolist() == lesson.samples.labelled_at.tolist()


def test_an_asset_without_bars_does_not_keep_the_others_from_learning(house: House) -> None:
    house.bars.write(BarSeries.empty("NEW", BarSize.D1), "test")
    instruments = [instrument_for(symbol) for symbol in (*SERIES, "NEW")]
    line = house.retrain(NOW, InlineWorker(), instruments=instruments)
    assert "live; no model for NEW yet: 0 usable daily bars, about 151 needed" in line
