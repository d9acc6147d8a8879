"""The live record: its figures against the base rate, and the trust that it loses and wins back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.decisions import ModelState, Prediction, Signal
from core.domain.events import SkillChanged
from core.domain.skill import ALL, Standings, TrackedPrediction, Trust
from core.execution.live_skill import LIVE_SKILL, STANDINGS, live_skill, standings
from core.learning.outcomes import weighed
from core.storage.store import Database
from core.strategy.skill import (
    ENOUGH,
    OBSERVE_AT,
    THROTTLE_AT,
    Weighed,
    course,
    groups_of,
    mean_interval,
    rate_interval,
    record_of,
    standings_of,
    trust_after,
)
from jobs.live_record import NEW_RECORD, renew_record
from tests.ledger_builders import a_decision, a_model, ledger

pytestmark = pytest.mark.feature("S6")

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
RECIPE = "scaled-asset"
ASSETS = tuple(f"A{number}-USD" for number in range(8))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = ledger(tmp_path)
    with opened.unit_of_work() as work:
        work.add_model(a_model("m1", recipe=RECIPE))
        work.commit()
    yield opened
    opened.close()


def foreseen(day: int, said: float, came: bool, *, symbol: str = "A0-USD", life: int = 1) -> TrackedPrediction:
    at = START + day * DAY
    made = Prediction(symbol, said, "up", "m1", at)
    return TrackedPrediction(made, came, at + life * DAY, at + life * DAY, 0.5, RECIPE)


def record(said: Sequence[float], came: Sequence[bool], *, first: int = 0, life: int = 1) -> list[TrackedPrediction]:
    return [
        foreseen(first + day * life, each, outcome, life=life)
        for day, (each, outcome) in enumerate(zip(said, came, strict=True))
    ]


def judged(tracked: Sequence[TrackedPrediction]) -> Standings:
    tallies = {}
    for moment in course(weighed(tracked, START + 9_999 * DAY)):
        tallies = dict(moment.tallies)
    return standings_of(tallies, RECIPE)


def kept(
    database: Database, tracked: Sequence[TrackedPrediction], now: datetime, model: str = "m1"
) -> list[SkillChanged]:
    """Journals and scores them, renews the record and returns what was told of it."""
    with database.unit_of_work() as work:
        for each in tracked:
            signal = Signal(each.prediction.symbol, each.prediction.bar_closed_at, None, each.prediction, ())
            at = each.prediction.bar_closed_at
            work.record_decision(a_decision(at=at, signals=(signal,)), recorded_at=at)
            work.add_prediction_score(each)
        renew_record(work, now, (), in_force=True)
        work.commit()
    with database.reading() as work:
        rows = reversed(work.messages())
        return [row.event for row in rows if isinstance(row.event, SkillChanged)]


def test_forecasts_that_are_the_wrong_way_round_are_halved_then_observed_and_come_back(database: Database) -> None:
    bad = record([0.7] * 30, [False] * 30)
    assert judged(bad[: int(ENOUGH) - 1]).doubted == {}
    told = kept(database, bad[:11], START + 20 * DAY)
    assert [(each.symbol, each.before, each.trust) for each in told] == [
        (ALL, Trust.TRUSTED, Trust.THROTTLED),
        ("A0-USD", Trust.TRUSTED, Trust.THROTTLED),
    ]
    assert "11 (11 independent), log loss 1.204 against 0.693 of the base rate" in told[1].reason
    assert kept(database, (), START + 20 * DAY) == told
    told = kept(database, bad[11:], START + 31 * DAY)
    assert [(each.before, each.trust) for each in told[2:]] == [(Trust.THROTTLED, Trust.OBSERVED)] * 2
    good = record([0.7] * 20, [True] * 20, first=40)
    told = kept(database, good[:8], START + 49 * DAY)
    assert [each.trust for each in told[4:]] == [Trust.THROTTLED] * 2
    told = kept(database, good[8:], START + 70 * DAY)
    assert [each.trust for each in told[6:]] == [Trust.TRUSTED] * 2
    with database.reading() as work:
        assert standings(work).of("A0-USD") is None


def test_a_long_good_record_is_no_credit_for_a_model_that_has_broken() -> None:
    good, bad = record([0.7] * 200, [True] * 200), record([0.7] * 16, [False] * 16, first=200)
    assert judged([*good, *bad[:5]]).doubted == {}
    assert judged([*good, *bad]).trust_in("A0-USD") is Trust.OBSERVED


def test_a_refit_goes_on_with_the_record_and_another_recipe_begins_one(database: Database) -> None:
    kept(database, record([0.7] * 30, [False] * 30), START + 31 * DAY)
    with database.unit_of_work() as work:
        work.add_model(a_model("m2", recipe=RECIPE))
        work.commit()
        found = standings(work).of("QQQ")
        assert found is not None
        assert (found.symbol, found.trust) == (ALL, Trust.OBSERVED)
        work.add_model(a_model("m3", recipe="net-class"))
        assert standings(work).of("A0-USD") is None
        work.commit()
    told = kept(database, (), START + 32 * DAY)[2:]
    assert [(each.trust, each.reason) for each in told] == [(Trust.TRUSTED, NEW_RECORD)] * 2
    with database.unit_of_work() as work:
        work.add_model(a_model("m4", recipe=RECIPE, state=ModelState.CHAMPION))
        work.commit()
    assert [each.trust for each in kept(database, (), START + 33 * DAY)[4:]] == [Trust.OBSERVED] * 2


def test_the_record_of_one_asset_does_not_hold_back_another(database: Database) -> None:
    bad = record([0.8] * 25, [False] * 25)
    others = [foreseen(day, 0.8, True, symbol=symbol) for symbol in ASSETS[1:] for day in range(25)]
    kept(database, [*bad, *others], START + 40 * DAY)
    with database.reading() as work:
        found, skill = standings(work), live_skill(work)
    assert list(found.doubted) == ["A0-USD"]
    assert found.of("A1-USD") is None
    assert skill is not None
    assert skill.whole is not None
    assert (skill.whole.count, skill.whole.hits) == (200, 175)
    assert [each.symbol for each in skill.assets] == sorted(ASSETS)
    assert skill.assets[0].gain < 0 < skill.assets[1].gain


def test_what_another_version_kept_is_forgotten_until_the_next_scoring(database: Database) -> None:
    kept(database, record([0.7] * 30, [False] * 30), START + 31 * DAY)
    with database.unit_of_work() as work:
        work.set_value(LIVE_SKILL, '{"at": 3}')
        work.set_value(STANDINGS, '{"recipe": "scaled-asset", "doubted": {"*": {"symbol": "*", "trust": "odd"}}}')
        work.commit()
    with database.reading() as work:
        assert live_skill(work) is None
        assert standings(work).doubted == {}
    kept(database, (), START + 32 * DAY)
    with database.reading() as work:
        assert live_skill(work) is not None
        assert standings(work).trust_in(ALL) is Trust.OBSERVED


def test_the_figures_are_of_a_year_and_the_trust_is_of_the_whole_record(database: Database) -> None:
    kept(database, record([0.7] * 30, [False] * 30), START + 500 * DAY)
    with database.reading() as work:
        found = live_skill(work)
    assert found is not None
    assert (found.whole, found.assets, found.recipe) == (None, (), RECIPE)
    with database.reading() as work:
        assert standings(work).doubted.keys() == {ALL, "A0-USD"}


def test_outcomes_that_overlap_count_as_the_few_that_they_are() -> None:
    apart, over = record([0.7] * 40, [False] * 40), [foreseen(day, 0.7, False, life=20) for day in range(40)]
    for tracked, independent in ((apart, 40.0), (over, 2.95)):
        weight = sum(each.own for each in weighed(tracked, START + 999 * DAY))
        assert weight == pytest.approx(independent, abs=0.1)
    assert judged(apart).trust_in("A0-USD") is Trust.OBSERVED
    assert judged(over).doubted == {}


def test_the_share_of_an_outcome_is_the_same_before_and_after_later_ones_are_known() -> None:
    draw = np.random.default_rng(5)
    tracked = [
        foreseen(day, 0.6, True, symbol=symbol, life=int(draw.integers(1, 20)))
        for day in range(60)
        for symbol in ASSETS[:3]
    ]
    at_last = {id(each.tracked): (each.own, each.pooled) for each in weighed(tracked, START + 999 * DAY)}
    for day in range(20, 60, 7):
        now = START + day * DAY
        pending = [
            each
            if each.known_at is not None and each.known_at <= now
            else TrackedPrediction(each.prediction, recipe=RECIPE)
            for each in tracked
            if each.prediction.bar_closed_at <= now
        ]
        found = weighed(pending, now)
        assert found
        for each in found:
            assert (each.own, each.pooled) == pytest.approx(at_last[id(each.tracked)], abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_neither_the_order_nor_the_day_of_scoring_changes_the_standing(data: st.DataObject) -> None:
    said = data.draw(st.lists(st.sampled_from([0.3, 0.5, 0.65, 0.9]), min_size=1, max_size=40))
    came = data.draw(st.lists(st.booleans(), min_size=len(said), max_size=len(said)))
    tracked = record(said, came)
    shuffled = data.draw(st.permutations(tracked))
    assert judged(shuffled) == judged(tracked)


@settings(max_examples=50, deadline=None)
@given(st.floats(0, OBSERVE_AT), st.sampled_from(Trust))
def test_a_step_back_takes_less_evidence_than_the_step_there(evidence: float, trust: Trust) -> None:
    after = trust_after(trust, evidence, ENOUGH)
    assert trust_after(after, evidence, ENOUGH) is after
    assert trust_after(Trust.TRUSTED, evidence, ENOUGH - 0.1) is Trust.TRUSTED
    if evidence >= THROTTLE_AT:
        assert after is not Trust.TRUSTED


def overlapping(draw: np.random.Generator, days: int, chance: np.ndarray, *, inverted: bool) -> list[TrackedPrediction]:
    """Outcomes of eight assets that move together, each alive for a week; forecasts that are right, or the reverse."""
    tracked = []
    for day in range(days):
        luck = draw.random()
        for place, symbol in enumerate(ASSETS):
            own = luck if draw.random() < 0.7 else draw.random()
            truth = float(chance[day, place])
            tracked.append(foreseen(day, 1 - truth if inverted else truth, own < truth, symbol=symbol, life=7))
    return tracked


def chances(draw: np.random.Generator, days: int) -> np.ndarray:
    """What is true of the assets from day to day: between 35 and 65 %, and lasting for weeks."""
    moves = draw.normal(0, 0.35, (days, len(ASSETS)))
    level = np.zeros_like(moves)
    for day in range(1, days):
        level[day] = 0.95 * level[day - 1] + 0.31 * moves[day]
    return np.asarray(0.5 + 0.15 * np.tanh(3 * level))


def test_a_model_of_true_skill_is_hardly_ever_held_back() -> None:
    """Ten times half a year of eight assets: 80 records of assets and ten of all together."""
    doubted, whole = 0, 0
    for seed in range(10):
        draw = np.random.default_rng(seed)
        found = judged(overlapping(draw, 180, chances(draw, 180), inverted=False))
        doubted += len(found.doubted.keys() - {ALL})
        whole += found.trust_in(ALL) is not Trust.TRUSTED
    assert doubted <= 1
    assert whole == 0


@pytest.mark.long
def test_over_two_hundred_years_of_true_skill_assets_lose_their_trust_in_less_than_one_of_a_hundred() -> None:
    """25 times a year of eight assets: 200 records, of which at most two are doubted at their end."""
    found = [
        judged(overlapping(draw := np.random.default_rng(seed), 365, chances(draw, 365), inverted=False))
        for seed in range(100, 125)
    ]
    assert sum(len(each.doubted.keys() - {ALL}) for each in found) <= 2
    assert all(each.trust_in(ALL) is Trust.TRUSTED for each in found)


def test_a_model_that_knows_the_opposite_is_held_back_within_half_a_year_and_not_within_a_week() -> None:
    for seed in range(3):
        draw = np.random.default_rng(seed)
        truth = np.where(draw.random((180, len(ASSETS))) < 0.5, 0.2, 0.8)
        tracked = overlapping(draw, 180, truth, inverted=True)
        assert judged([each for each in tracked if (each.known_at or START) <= START + 14 * DAY]).doubted == {}
        found = judged(tracked)
        assert found.trust_in(ALL) is Trust.OBSERVED
        assert {found.trust_in(symbol) for symbol in ASSETS} == {Trust.OBSERVED}


def test_figures_groups_and_intervals_are_those_of_their_definitions() -> None:
    tracked = record([0.7, 0.62, 0.58, 0.3], [True, False, True, False])
    outcomes = weighed(tracked, START + 99 * DAY)
    *_, last = course(outcomes)
    found = record_of("A0-USD", outcomes, last.tallies["A0-USD"])
    assert (found.count, found.hits, found.independent) == (4, 3, pytest.approx(4.0))
    assert found.brier == pytest.approx((0.3**2 + 0.62**2 + 0.42**2 + 0.3**2) / 4)
    assert found.base_brier == pytest.approx(0.25)
    assert found.log_loss == pytest.approx(-np.log([0.7, 0.38, 0.58, 0.7]).mean())
    assert found.base_log_loss == pytest.approx(math.log(2))
    assert [(each.low, each.high, each.count, each.came_true) for each in found.groups] == [
        (0.3, 0.35, 1, 0.0),
        (0.55, 0.6, 1, 1.0),
        (0.6, 0.65, 1, 0.0),
        (0.7, 0.75, 1, 1.0),
    ]
    assert groups_of(np.array([1.0, 0.97]), np.array([1.0, 0.0]))[0].count == 2
    low, high = rate_interval(0.5, 100.0)
    assert low is not None
    assert high is not None
    assert (low, high) == pytest.approx((0.419, 0.581), abs=0.001)
    assert rate_interval(0.5, 1.9) == mean_interval(np.array([1.0, 2.0]), 1.9) == (None, None)
    assert mean_interval(np.array([0.0, 1.0]), 8.0) == pytest.approx((0.5 - 0.4112, 0.5 + 0.4112), abs=1e-3)


def test_a_prediction_that_is_not_known_yet_is_no_evidence() -> None:
    early = foreseen(0, 0.7, True)
    assert weighed([early], START) == []
    with pytest.raises(ValueError, match="nothing is known yet"):
        list(course([Weighed(TrackedPrediction(early.prediction), 1.0, 1.0)]))
