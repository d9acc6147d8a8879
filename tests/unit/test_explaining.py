"""What moved a forecast: exact, kept with the decision, and told in lines that add up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from bot import render_why
from bot.render_moves import what_moved
from core.clock import VirtualClock
from core.domain.decisions import Contribution, Reasons
from core.execution.reasons import note_reasons, reasons_of
from core.learning.growing import grow, lessons_of
from core.series import BarSeries, time_of
from core.storage.store import Database
from core.strategy.calibration import Calibration, Method
from core.strategy.features import FEATURE_NAMES
from core.strategy.forest import FlatForest
from core.strategy.predictor import ForestPredictor
from tests.forest_builders import SMALL, bundle_of, finite_rows, model_of
from tests.ledger_builders import START, a_signal, ledger
from tests.series_builders import random_walk
from tests.snapshot_builders import market

pytestmark = pytest.mark.feature("I1")
SPY = random_walk("SPY", 700, seed=3)


@pytest.fixture(scope="module")
def forest() -> FlatForest:
    (lesson,) = lessons_of([SPY], SMALL)
    return grow([lesson], replace(SMALL, grower=replace(SMALL.grower, trees=40))).bundle.members[0].forest


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = ledger(tmp_path, VirtualClock(START))
    yield opened
    opened.close()


def test_base_rate_and_contributions_add_up_to_the_probability(forest: FlatForest) -> None:
    rows = finite_rows([SPY])[::7]
    told = [forest.explain(row) for row in rows]
    total = np.array([base + moved.sum() for base, moved in told])
    assert np.abs(total - forest.predict(rows)).max() < 1e-12
    assert len({base for base, _ in told}) == 1


def test_a_contribution_is_the_walk_of_the_row_through_each_tree(forest: FlatForest) -> None:
    """Against the definition, step by step and tree by tree."""
    row = finite_rows([SPY])[100]
    wide = row.astype(np.float32)
    moved = np.zeros(len(FEATURE_NAMES))
    for root in forest.roots.tolist():
        node = root
        while forest.left[node] != node:
            below = wide[forest.feature[node]] <= forest.threshold[node]
            child = int(forest.left[node] if below else forest.right[node])
            moved[forest.feature[node]] += forest.probability[child] - forest.probability[node]
            node = child
    np.testing.assert_allclose(forest.explain(row)[1], moved / len(forest.roots), rtol=0, atol=1e-14)


def test_a_feature_that_is_never_asked_for_moves_nothing(forest: FlatForest) -> None:
    used = replace(forest, feature=np.zeros_like(forest.feature))
    _, moved = used.explain(finite_rows([SPY])[5])
    assert not moved[1:].any()


def test_ranks_are_the_place_among_the_training_values(forest: FlatForest) -> None:
    rows = lessons_of([SPY], SMALL)[0].samples.features
    ranks = forest.ranks(rows[50])
    assert ranks is not None
    true = (rows < rows[50]).mean(axis=0)
    assert np.abs(ranks - true).max() <= 0.011
    assert forest.ranks(rows.min(axis=0) - 1)[0] == 0.0  # type: ignore[index]
    assert forest.ranks(rows.max(axis=0) + 1)[0] == 1.0  # type: ignore[index]


def test_quantiles_come_back_from_the_file_and_old_files_do_without(forest: FlatForest) -> None:
    back = FlatForest.from_bytes(forest.to_bytes())
    np.testing.assert_array_equal(back.quantiles, forest.quantiles)
    old = FlatForest.from_bytes(replace(forest, quantiles=None).to_bytes())
    assert old.ranks(np.zeros(9)) is None
    assert np.array_equal(old.explain(np.zeros(9))[1], forest.explain(np.zeros(9))[1])
    with pytest.raises(ValueError, match="quantiles"):
        FlatForest.from_bytes(replace(forest, quantiles=np.zeros((9, 3))).to_bytes())


class Counting(ForestPredictor):
    asked = 0

    def explain(self, daily: BarSeries) -> Reasons | None:
        self.asked += 1
        return super().explain(daily)


def test_what_moved_a_forecast_is_kept_once_for_each_daily_bar(database: Database, forest: FlatForest) -> None:
    predictor = Counting(bundle_of(forest), model_of(forest))
    seen = replace(market("SPY"), daily=SPY)
    made = predictor.predict(SPY)
    assert made is not None
    signal = replace(a_signal(symbol="SPY"), prediction=made)
    for _ in range(2):
        with database.unit_of_work() as work:
            note_reasons(work, [signal], [seen], predictor)
            work.commit()
    assert predictor.asked == 1
    with database.reading() as work:
        kept = reasons_of(work, made)
        assert reasons_of(work, replace(made, bar_closed_at=time_of(0))) is None
    assert kept is not None
    assert abs(kept.probability - made.probability) < 1e-12
    assert [each.feature for each in kept.contributions] == list(FEATURE_NAMES)


def test_the_owner_reads_what_moved_it_most_in_lines_that_add_up() -> None:
    names = ("rsi14", "macd", "volume_z", "roc10", "bollinger_b", "strange_one")
    points = (0.051, -0.033, 0.012, -0.011, 0.002, 0.001)
    told = Reasons(0.55, tuple(Contribution(n, 0.63, p, 0.81) for n, p in zip(names, points, strict=True)))
    text = what_moved(told)
    assert "RSI 14 63, above 81% of the days it learned from" in text
    assert "+0.3 points: 2 others together" in text
    moved = [float(found) for found in re.findall(r"([+-][0-9.]+) points", text)]
    assert 55.0 + sum(moved) == pytest.approx(57.2, abs=0.06)
    assert text.endswith("= 57.2%")
    assert what_moved(None) == ""


def test_what_the_forest_says_and_what_calibration_makes_of_it_stand_apart() -> None:
    told = Reasons(0.55, (Contribution("rsi14", 0.63, 0.08, 0.81),), 0.594)
    *_, said, meant = what_moved(told).splitlines()
    assert said == "= 63.0%, says the forest"
    assert meant == "59.4% after calibration on days it had not learned from"


def test_a_calibrated_answer_is_explained_by_the_forest_and_decided_by_the_calibration(forest: FlatForest) -> None:
    doubt = Calibration(Method.PLATT, (0.1,), (0.5,))
    predictor = ForestPredictor(bundle_of(forest, doubt), model_of(forest))
    made, told = predictor.predict(SPY), predictor.explain(SPY)
    assert made is not None and told is not None
    raw = float(forest.predict(finite_rows([SPY])[-1:])[0])
    assert told.probability == pytest.approx(raw, abs=1e-12)
    assert told.calibrated == made.probability == float(doubt.apply(np.array([raw]))[0])
    assert abs(made.probability - raw) > 0.001


def test_why_shows_it_between_the_facts_and_the_gates() -> None:
    told = Reasons(0.5, (Contribution("rsi14", 0.7, 0.12, None),))
    text = render_why.why(a_signal(symbol="SPY"), (), START, ZoneInfo("UTC"), told).text
    assert "What moved the forecast" in text
    assert "+12.0 points: RSI 14 70\n" in text


def test_the_same_rows_give_the_same_model_name() -> None:
    lessons = lessons_of([SPY], SMALL)
    assert grow(lessons, SMALL).bundle.version == grow(lessons, SMALL, is_judged=False).bundle.version
