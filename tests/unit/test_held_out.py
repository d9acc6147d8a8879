"""A refit is compared with the model in use on the days that both had held out, and no worse than it beyond luck."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.learning import held_out
from core.learning.held_out import Kept
from core.learning.tracks import Lead, Track
from core.series import Floats
from jobs.beside import keep_beside, kept_beside
from jobs.retrain import objection_to
from tests.ledger_builders import a_model
from tests.unit.test_retrain import DAY, NOW, RECIPE, House, InlineWorker

pytestmark = pytest.mark.feature("S5")


@pytest.fixture
def house(tmp_path: Path) -> Any:
    built = House(tmp_path)
    yield built
    built.database.close()


def said(gained: Floats) -> Track:
    closed_at = 86_400 * np.arange(20_000, 20_000 + len(gained))
    return Track(RECIPE.name, {"SPY": closed_at}, {"SPY": gained})


def test_what_was_said_comes_back_as_it_was_and_only_where_nobody_changed_it(tmp_path: Path) -> None:
    track = Track("r", {"SPY": np.array([1, 2]), "BTC-USD": np.array([3])}, {"SPY": np.ones(2), "BTC-USD": -np.ones(1)})
    data, path = held_out.to_bytes(track), tmp_path / "m.held.npz"
    assert data == held_out.to_bytes(track)
    path.write_bytes(data)
    kept = Kept(path, hashlib.sha256(data).hexdigest())
    again = held_out.read(kept)
    assert again is not None
    assert (again.recipe, sorted(again.closed_at)) == ("r", ["BTC-USD", "SPY"])
    assert again.gained["SPY"].tolist() == [1.0, 1.0]
    path.write_bytes(data[:-1])
    assert held_out.read(kept) is None
    path.unlink()
    assert held_out.read(kept) is None


def test_a_refit_that_says_worse_on_the_same_days_is_behind_beyond_luck_and_a_like_one_is_not() -> None:
    draw = np.random.default_rng(5)
    before = said(draw.normal(0.0, 0.3, 700))
    worse = said(before.gained["SPY"] - 0.05 + draw.normal(0.0, 0.1, 700))
    alike = said(before.gained["SPY"] + draw.normal(0.0, 0.1, 700))
    found = held_out.behind(worse, before, 20)
    assert found.rows == 700
    assert found.lead == pytest.approx(0.05, abs=0.02)
    assert found.low is not None
    assert found.low > 0
    other = held_out.behind(alike, before, 20)
    assert other.low is not None
    assert other.low < 0
    assert held_out.behind(said(np.zeros(100)), before, 20) == Lead(100)


def test_each_refit_is_compared_with_the_model_in_use(house: House) -> None:
    outcomes: list[Any] = []

    def seen(outcome: Any) -> Any:
        outcomes.append(outcome)
        return outcome

    house.retrain(NOW, InlineWorker(seen))
    house.retrain(NOW + 30 * DAY, InlineWorker(seen))
    first, second = outcomes
    assert first.behind is None
    assert second.behind is not None
    assert second.behind.rows > 20
    with house.database.reading() as work:
        kept = kept_beside(work, house.models, RECIPE)
        assert kept is not None
        assert (kept.path.name, kept.sha256) == (f"{second.version}.held.npz", second.held_sha256)
        assert held_out.read(kept) is not None
        assert kept_beside(work, house.models, replace(RECIPE, name="another")) is None


def test_a_refit_that_foresees_worse_than_the_model_in_use_is_rejected_and_told(house: House) -> None:
    outcomes: list[Any] = []

    def behind(outcome: Any) -> Any:
        outcomes.append(outcome)
        return replace(outcome, behind=Lead(400, 0.0321, 0.0123))

    house.retrain(NOW, InlineWorker())
    former = house.champion()
    line = house.retrain(NOW + 30 * DAY, InlineWorker(behind))
    words = (
        "on 400 bars that both had held out it foresees worse than the model in use: by 0.0321 nats, at least 0.0123"
    )
    assert words in line
    assert house.champion() == former
    assert next(event.reason for event in house.told() if not event.promoted).startswith(words)
    lucky = replace(outcomes[0], behind=Lead(400, 0.0321, -0.0001))
    assert objection_to(lucky) == objection_to(replace(lucky, behind=Lead(9))) == ""


def test_the_ledger_remembers_the_newest_alone(house: House) -> None:
    with house.database.unit_of_work() as work:
        for number in range(25):
            keep_beside(work, f"m{number}", "a" * 64)
        for version, is_known in (("m4", False), ("m24", True)):
            work.add_model(a_model(version, recipe=RECIPE.name))
            assert (kept_beside(work, house.models, RECIPE) is not None) is is_known
