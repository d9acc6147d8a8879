from __future__ import annotations

import json
import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import DataFault
from core.learning import statistics as stats
from core.learning.trials import TRIALS, Trial, append_trials, count_trials, read_trials

pytestmark = pytest.mark.feature("S17")


def draw(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_highest_of_many_worthless_ratios_is_what_chance_gives() -> None:
    rounds = draw().normal(0.0, 0.3, (20_000, 12)).max(axis=1)
    assert stats.expected_highest(12, 0.3) == pytest.approx(rounds.mean(), rel=0.03)
    assert stats.expected_highest(1, 0.3) == 0.0
    assert [stats.expected_highest(count, 1.0) for count in (2, 10, 100)] == sorted(
        stats.expected_highest(count, 1.0) for count in (2, 10, 100)
    )


def test_the_error_of_a_ratio_is_that_of_repeated_samples() -> None:
    samples = draw().standard_t(8, (800, 400)) * 0.01 + 0.001
    ratios = np.array([stats.sharpe(sample) for sample in samples])
    errors = np.array([stats.sharpe_error(sample) for sample in samples])
    assert errors.mean() == pytest.approx(ratios.std(ddof=1), rel=0.06)


def test_a_nine_year_ratio_near_one_has_an_error_of_a_third() -> None:
    returns = draw(1).normal(0.01 / math.sqrt(252), 0.01, 9 * 252)
    assert stats.sharpe_error(returns) * math.sqrt(252) == pytest.approx(0.33, abs=0.01)


def test_the_deflated_ratio_is_the_published_example() -> None:
    """Bailey and Lopez de Prado (2014), section 5: an annual ratio of 2.5 over five years of 250 days, skewness -3,
    kurtosis 10, the best of 100 trials of variance 1/2 a year: about 0.90."""
    threshold = stats.expected_highest(100, math.sqrt(0.5 / 250))
    assert threshold == pytest.approx(0.1132, abs=0.0002)
    ratio = 2.5 / math.sqrt(250)
    error = math.sqrt((1 + 3 * ratio + 9 / 4 * ratio**2) / 1249)
    assert 0.5 * (1 + math.erf((ratio - threshold) / error / math.sqrt(2))) == pytest.approx(0.9004, abs=0.0005)


def test_more_trials_and_a_wider_spread_deflate_more() -> None:
    returns = draw(2).normal(0.0007, 0.01, 1000)
    told = [stats.deflated_sharpe(returns, count, 0.02) for count in (1, 10, 100)]
    assert told == sorted(told, reverse=True)
    assert stats.deflated_sharpe(returns, 1, 0.02) == stats.probabilistic_sharpe(returns, 0.0)
    assert stats.deflated_sharpe(returns, 10, 0.04) < told[1]
    assert stats.probabilistic_sharpe(np.zeros(50), 0.0) == 0.5


def by_the_book(returns: np.ndarray, blocks: int) -> float:
    """Bailey and others (2017), section 2, as written: whole matrices, one split after the other."""
    parts = np.array_split(returns, blocks)
    below = []
    for chosen in combinations(range(blocks), blocks // 2):
        inside = np.concatenate([parts[place] for place in chosen])
        outside = np.concatenate([parts[place] for place in range(blocks) if place not in chosen])
        best = int(np.argmax(inside.mean(axis=0) / inside.std(axis=0)))
        ratios = outside.mean(axis=0) / outside.std(axis=0)
        share = (1 + np.sum(ratios < ratios[best])) / (returns.shape[1] + 1)
        below.append(math.log(share / (1 - share)) <= 0)
    return float(np.mean(below))


def test_overfitting_is_counted_as_the_paper_does() -> None:
    returns = draw(3).normal(0, 0.01, (120, 5))
    assert stats.overfitting(returns, 6).probability == by_the_book(returns, 6)
    assert stats.overfitting(returns, 6).splits == math.comb(6, 3)


def test_noise_overfits_half_of_the_time_and_one_true_edge_hardly_ever() -> None:
    noise = draw(4).normal(0, 0.01, (10, 600, 8))
    told = np.mean([stats.overfitting(each, 8).probability for each in noise])
    assert 0.3 < told < 0.75
    edge = noise[0].copy()
    edge[:, 2] += 0.004
    assert stats.overfitting(edge, 8).probability == 0.0
    assert stats.overfitting(edge, 8).rank == pytest.approx(8 / 9)
    with pytest.raises(ValueError, match="two attempts"):
        stats.overfitting(noise[0][:, :1], 8)


@settings(max_examples=20, deadline=None)
@given(count=st.integers(2, 60), length=st.integers(1, 80), seed=st.integers(0, 99))
def test_blocks_are_runs_of_the_series_that_wrap_round(count: int, length: int, seed: int) -> None:
    circular = stats.circular_blocks(count, length, draw(seed))
    stationary = stats.stationary_blocks(count, float(length), draw(seed))
    for places in (circular, stationary):
        assert places.shape == (count,)
        assert places.min() >= 0 and places.max() < count
    breaks = np.flatnonzero((np.diff(circular) % count) != 1) + 1
    assert all(place % length == 0 for place in breaks)


def test_stationary_blocks_have_the_mean_length_asked_for() -> None:
    places = stats.stationary_blocks(20_000, 25.0, draw(5))
    blocks = 1 + int(np.sum((np.diff(places) % 20_000) != 1))
    assert 20_000 / blocks == pytest.approx(25, rel=0.1)


def test_the_interval_of_a_mean_covers_what_it_should_and_a_paired_one_is_narrower() -> None:
    source = draw(6)
    market = source.normal(0, 0.01, 800)
    rows = np.column_stack((market + source.normal(0.0005, 0.001, 800), market))

    def gain(part: np.ndarray) -> float:
        return float(np.mean(part[:, 0] - part[:, 1]))

    def alone(part: np.ndarray) -> float:
        return float(np.mean(part[:, 0]))

    paired, single = (
        stats.bootstrap(rows, figure, draw(8), length=10, rounds=300, level=0.9) for figure in (gain, alone)
    )
    assert paired.low < 0.0005 < paired.high
    assert paired.high - paired.low < (single.high - single.low) / 5
    assert paired == stats.bootstrap(rows, gain, draw(8), length=10, rounds=300, level=0.9)


def trial(name: str, ratio: float = 0.01) -> Trial:
    return Trial({"name": name}, "d" * 64, {"excess": ratio}, "2026-11-25")


def test_every_run_appends_and_the_same_attempt_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    assert append_trials([trial("a"), trial("b")], path) == 2
    assert append_trials([trial("b", 0.02), trial("c")], path) == 3
    known = read_trials(path)
    assert [each.config["name"] for each in known] == ["a", "b", "b", "c"]
    assert count_trials(known) == 3


@pytest.mark.parametrize("harm", ["changed", "dropped", "swapped", "torn", "foreign"])
def test_a_broken_chain_is_refused_and_nothing_is_appended(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "trials.jsonl"
    append_trials([trial("a"), trial("b"), trial("c")], path)
    lines = path.read_text().splitlines()
    harmed = {
        "changed": [lines[0].replace("0.01", "0.02"), *lines[1:]],
        "dropped": [lines[0], lines[2]],
        "swapped": [lines[1], lines[0], lines[2]],
        "torn": [*lines[:2], lines[2][:30]],
        "foreign": [*lines, json.dumps({"hash": "x"})],
    }[harm]
    path.write_text("".join(f"{line}\n" for line in harmed))
    before = path.read_bytes()
    with pytest.raises(DataFault, match=r"line \d of trials.jsonl"):
        append_trials([trial("d")], path)
    assert path.read_bytes() == before


def test_the_committed_record_of_trials_is_whole() -> None:
    read_trials(TRIALS)
