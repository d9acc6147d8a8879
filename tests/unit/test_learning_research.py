"""The whole search on a small made-up market, and what is committed of the real one."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from core.errors import DataFault
from core.learning import declared, judging, plans, research, telling, verdict
from core.learning.declared import Declaration, read_declaration
from core.learning.figures import excess, sharpe_gain
from core.learning.fitting import Grower
from core.learning.trials import count_trials, read_trials
from tests.series_builders import SHARED_DATA, random_walk

pytestmark = pytest.mark.feature("S17")

SMALL = Grower(trees=8, trial_trees=4, leaves=(20,), least=60)
START = datetime(2019, 1, 1, tzinfo=UTC)
COUNT = 620


def write(folder: Path, symbol: str, seed: int) -> None:
    bars = random_walk(symbol, COUNT, seed=seed, start=START, drift=0.001, swing=0.012)
    (folder / "daily").mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / "daily" / f"{symbol}.csv.gz", "wt") as file:
        file.write("ts,open,high,low,close,volume\n")
        for bar in bars.bars():
            numbers = ",".join(f"{each:.6f}" for each in (bar.open, bar.high, bar.low, bar.close, bar.volume))
            file.write(f"{bar.opened_at:%Y-%m-%dT%H:%M:%SZ},{numbers}\n")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made-up")
    for seed, symbol in enumerate(("SPY", "QQQ", "BTC-USD", "ADA-USD", "GLD", "TLT", "VIX")):
        write(folder, symbol, seed + 20)
    return folder


def small() -> Declaration:
    told = read_declaration()
    names = ("scaled-class", "average-meta")
    return replace(
        told,
        first=date(2020, 1, 1),
        last=(START + timedelta(days=COUNT - 1)).date(),
        symbols=("SPY", "QQQ", "BTC-USD", "ADA-USD"),
        transfer=("GLD", "TLT"),
        configurations=tuple(each for each in told.configurations if each.name in names),
    )


def test_a_run_that_goes_on_where_one_stopped_has_the_same_forecasts_and_ends_with_figures(
    data: Path, tmp_path: Path
) -> None:
    first = research.prepared(data, small(), SMALL, tmp_path, 1)
    *kept, lost = sorted(tmp_path.glob("*.npz"))
    lost.unlink()
    times = [path.stat().st_mtime_ns for path in kept]
    again = research.prepared(data, small(), SMALL, tmp_path, 1)
    assert [path.stat().st_mtime_ns for path in kept] == times
    for name, made in first.forecasts.items():
        for one, other in zip(made.probability, again.forecasts[name].probability, strict=True):
            np.testing.assert_array_equal(one, other)
    trials = tmp_path / "trials.jsonl"
    found = judging.judged(replace(again, rounds=20, blocks=4), "2026-11-25", trials)
    assert len(read_trials(trials)) == found["trials"] == 2
    for lines in (found["plain"], found["tried"]):
        assert all(set(line) == {"all", "funds", "no ADA, SOL", "coins"} for line in lines.values())
    assert found["default"] == "scaled-class"
    assert verdict.verdict(found).startswith("Learning has not been shown") == (not found["adds"])


def gate(rate: float, faults: Sequence[str]) -> dict[str, object]:
    return {"highest base rate": rate, "threshold": 0.6, "faults": list(faults)}


def test_the_default_is_the_most_robust_configuration_whose_gate_is_one() -> None:
    told = [each for each in read_declaration().configurations if each.name.startswith(("scaled", "channels"))]
    robust = {each.name: float(place) for place, each in enumerate(told)}
    sound = {each.name: gate(0.55, ()) for each in told}
    assert judging.choose(told, sound, robust).name == "scaled-class-exits"
    faulty = {**sound, "scaled-class-exits": gate(0.66, ["passes by itself"])}
    assert judging.choose(told, faulty, robust).name == "scaled-asset"
    shut = {each.name: gate(0.66 if each.name == "scaled-pooled" else 0.55, ["never opens"]) for each in told}
    assert judging.choose(told, shut, robust).name == "scaled-class"


def test_a_gain_at_equal_volatility_does_not_depend_on_how_much_was_invested() -> None:
    draw = np.random.default_rng(2)
    rule = draw.normal(0.0005, 0.01, 600)
    forest = rule + draw.normal(0.0002, 0.002, 600)
    told = sharpe_gain(forest, rule, 365, 7)
    half = sharpe_gain(forest / 2, rule, 365, 7)
    assert half.value == pytest.approx(told.value)
    assert half.low == pytest.approx(told.low)
    assert told.low < told.value < told.high
    np.testing.assert_allclose(excess(forest / 2, rule), excess(forest, rule))


def committed() -> dict[str, object]:
    return json.loads(verdict.RESULTS.read_text("utf-8"))


def test_the_committed_figures_are_of_the_declared_search_and_every_attempt_is_on_record() -> None:
    found, told, trials = committed(), read_declaration(), read_trials()
    assert found["declared"] == told.digest
    names = {each.config["name"] for each in trials if each.config["declared"] == told.digest}
    assert names == {each.name for each in told.configurations} == set(found["tried"])
    assert found["trials"] == count_trials(trials)


def test_the_gate_of_the_default_is_one_that_the_base_rate_alone_does_not_pass_and_that_opens() -> None:
    found = committed()
    told = found["gates"][found["default"]]
    assert told["faults"] == []
    assert max(told["base rates"].values()) < told["threshold"] == 0.6
    assert sum(told["signals a year"].values()) >= plans.FEWEST_SIGNALS


def test_the_sentence_follows_from_the_interval() -> None:
    def said(low: float, high: float) -> str:
        return verdict.verdict({"adds": low > 0, "rule": "channels", "gain": {"low": low, "high": high}})

    assert said(0.1, 0.5).startswith("At equal volatility the forest has been shown to add something")
    assert said(-0.1, 0.5).endswith("reaches below zero.")
    assert said(-0.5, -0.1).endswith("lies below zero: it did worse.")


def test_what_is_said_to_add_something_is_what_the_interval_shows() -> None:
    found = committed()
    assert found["adds"] == (found["gain"]["low"] > 0)
    assert found["gains"][found["default"]]["all"] == found["gain"]


def test_no_figure_of_all_assets_stands_without_those_of_funds_and_of_all_but_late_coins() -> None:
    found = committed()
    tables = [*found["plain"].values(), *found["tried"].values(), *found["skill"].values(), *found["gains"].values()]
    tables += [*found["conditions"].values(), *found["ablation"]["losses"].values(), found["overfitting"]]
    tables += found["confirmation"]["ways"].values()
    for table in tables:
        assert {"all", "funds", "no ADA, SOL"} <= set(table)


def test_the_page_shows_the_committed_figures_and_says_plainly_whether_learning_adds_anything() -> None:
    page = telling.PAGE.read_text("utf-8")
    assert page == telling.page_with(page, committed())
    assert verdict.verdict(committed()) in page
    assert verdict.committed_verdict() == verdict.verdict(committed())
    with pytest.raises(ValueError, match="no place"):
        telling.page_with("nothing", committed())


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.shared_data
def test_the_real_search_gives_the_committed_figures(tmp_path: Path) -> None:
    if not SHARED_DATA.exists():
        pytest.skip(f"no real market data at {SHARED_DATA}")
    told = read_declaration()
    trials = tmp_path / "trials.jsonl"
    trials.write_bytes(research.TRIALS.read_bytes())
    study = research.prepared(SHARED_DATA, told, Grower(), tmp_path, 2)
    found = json.loads(json.dumps(judging.judged(study, "2026-11-25", trials)))
    assert hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest() == (
        hashlib.sha256(json.dumps(committed(), sort_keys=True).encode()).hexdigest()
    )


def test_an_unknown_pool_is_refused(tmp_path: Path) -> None:
    row = json.loads(declared.DECLARED.read_text())
    row["configurations"] = [{**row["configurations"][0], "use": "guess"}]
    path = tmp_path / "declared.json"
    path.write_text(json.dumps(row))
    with pytest.raises(DataFault, match="not known"):
        read_declaration(path)
