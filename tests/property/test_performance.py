"""Laws that every curve's figures obey."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.performance import Curve, max_drawdown, measure

START = datetime(2024, 1, 1, 21, tzinfo=UTC)
VALUES = st.lists(st.floats(min_value=1.0, max_value=1e9), min_size=3, max_size=60)


def curve_of(values: list[float], flows: list[float] | None = None) -> Curve:
    return Curve.of([START + timedelta(days=number) for number in range(len(values))], values, flows=flows)


@given(VALUES, st.floats(min_value=0.01, max_value=1000.0))
def test_figures_do_not_depend_on_the_size_of_the_account(values: list[float], factor: float) -> None:
    small, large = measure("a", curve_of(values)), measure("b", curve_of([value * factor for value in values]))
    assert large.total_return == pytest.approx(small.total_return, rel=1e-6, abs=1e-9)
    assert large.max_drawdown == pytest.approx(small.max_drawdown, rel=1e-6, abs=1e-9)
    if small.sharpe is not None and large.sharpe is not None and abs(small.sharpe) < 1e6:
        assert large.sharpe == pytest.approx(small.sharpe, rel=1e-3, abs=1e-6)


@given(VALUES)
def test_drawdown_is_the_worst_fall_from_any_earlier_value(values: list[float]) -> None:
    falls = [1 - later / earlier for i, earlier in enumerate(values) for later in values[i:]]
    found = max_drawdown(curve_of(values).wealth())
    assert 0.0 <= found <= 1.0
    assert found == pytest.approx(max(falls), abs=1e-9)


@given(VALUES)
def test_without_flows_wealth_is_value_over_the_first_value(values: list[float]) -> None:
    assert curve_of(values).wealth() == pytest.approx(np.array(values) / values[0], rel=1e-9)


@given(VALUES, st.integers(min_value=1, max_value=58), st.floats(min_value=0.0, max_value=1e6))
def test_a_deposit_scales_what_follows_and_changes_no_return(values: list[float], day: int, amount: float) -> None:
    day = min(day, len(values) - 1)
    growth = 1 + amount / values[day]
    with_deposit = [*values[:day], *(value * growth for value in values[day:])]
    flows = [amount if number == day else 0.0 for number in range(len(values))]
    assert curve_of(with_deposit, flows).wealth() == pytest.approx(curve_of(values).wealth(), rel=1e-6, abs=1e-9)
