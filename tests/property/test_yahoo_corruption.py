"""Whatever happens to a chart on its way, the real yfinance behind our adapter gives a typed error or true bars."""

from __future__ import annotations

import json
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain.bars import BarSize
from core.domain.instruments import Instrument
from core.errors import AutoTraderError
from core.series import BarSeries, seconds_of
from tests.servers.yahoo_charts import Exchange, answer
from tests.servers.yahoo_faults import EVERY_SYMBOL, Answer, always
from tests.yahoo_stand import BTC, COLUMNS, KNOWN, NOW, SPY, TRUTH, Stand, stand

__all__ = ["stand"]

COUNT = 40
SUBJECTS = [(SPY, BarSize.M5), (SPY, BarSize.D1), (BTC, BarSize.M5), (BTC, BarSize.D1)]
PRICES = COLUMNS[2:]
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, "", "x", "12.5", [], [1], {}, {"a": 1}, -1, 0, 1.5, 1e308, -1e308, 2**70, float("nan")]
) | st.integers(-(2**63), 2**63)
FEW = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Spoiling:
    """A chart and what is done to it. `touched` are the rows in which a number was put in the place of another: nobody
    can see that from the answer alone, so only they may differ from the truth. A list that loses one entry and doubles
    another has all between them in the place of others."""

    chart: Any
    touched: set[int] = field(default_factory=set)
    resized: Counter[tuple[Any, ...]] = field(default_factory=Counter)

    def at(self, draw: st.DataObject) -> tuple[Any, Any, tuple[Any, ...]]:
        """Some place in the chart: what holds it, its key there, and the way to it."""
        holder, path = self.chart, list[Any]()
        while True:
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            path.append(draw.draw(st.sampled_from(list(keys))))
            below = holder[path[-1]]
            if not isinstance(below, dict | list) or not below or (len(path) > 3 and draw.draw(st.integers(0, 3)) == 0):
                return holder, path[-1], tuple(path)
            holder = below

    def spoil(self, draw: st.DataObject) -> None:
        holder, key, path = self.at(draw)
        how = draw.draw(st.sampled_from(["replace", "replace", "delete", "double", "swap"]))
        if how == "replace":
            holder[key] = deepcopy(draw.draw(JUNK))
        elif how == "delete":
            del holder[key]
        elif isinstance(holder, list) and how == "double":
            holder.insert(key, holder[key])
        elif isinstance(holder, list):
            other = draw.draw(st.integers(0, len(holder) - 1))
            holder[key], holder[other] = holder[other], holder[key]
            self._touch(path, other)
        self._touch(path, key)
        if isinstance(holder, list) and how in ("delete", "double"):
            self.resized[path[:-1]] += 1
            if self.resized[path[:-1]] > 1:
                self.touched |= set(range(COUNT))

    def _touch(self, path: tuple[Any, ...], row: Any) -> None:
        if "quote" in path and isinstance(row, int):
            self.touched.add(row)


@cache
def sound(instrument: Instrument, size: BarSize) -> bytes:
    """The sound answer to the question that `ask` asks."""
    first = int(TRUTH.bars(instrument, size, NOW, COUNT).opened_at[0])
    query = {"interval": str(size), "period1": str(first), "period2": str(seconds_of(NOW) + 1)}
    return answer(Exchange(dict(KNOWN), NOW), instrument.symbol, query).body


def ask(stand: Stand, instrument: Instrument, size: BarSize, body: bytes) -> BarSeries | None:
    """None for a typed error; anything else that is raised fails the test."""
    stand.server.faults.standing[EVERY_SYMBOL] = always(Answer(200, body))
    stand.yahoo._restraint.succeeded()  # an answer in between, so that no pause spares us the question
    try:
        return stand.yahoo.bars(instrument, size, NOW, COUNT)
    except AutoTraderError:
        return None


def strange_rows(bars: BarSeries, truth: BarSeries) -> set[int]:
    """Rows of the truth that the bars tell differently; a missing value is no value. Raises where a bar is none."""
    assert (np.diff(bars.closed_at) > 0).all()
    rows = np.searchsorted(truth.closed_at, bars.closed_at)
    assert (rows < len(truth)).all()
    assert np.array_equal(truth.closed_at[rows], bars.closed_at)
    assert np.array_equal(truth.opened_at[rows], bars.opened_at)
    differ = np.zeros(len(bars), np.bool_)
    for name in PRICES:
        told = getattr(bars, name)
        differ |= ~((told == getattr(truth, name)[rows]) | np.isnan(told))
    return {int(row) for row in rows[differ]}


@pytest.mark.feature("S2")
@pytest.mark.parametrize(("instrument", "size"), SUBJECTS)
@FEW
@given(draw=st.data())
def test_a_spoiled_chart_is_a_typed_error_or_true_bars(
    stand: Stand, instrument: Instrument, size: BarSize, draw: st.DataObject
) -> None:
    spoiling = Spoiling(json.loads(sound(instrument, size)))
    for _ in range(draw.draw(st.integers(1, 3))):
        if isinstance(spoiling.chart, dict) and spoiling.chart:
            spoiling.spoil(draw)
    bars = ask(stand, instrument, size, json.dumps(spoiling.chart).encode())
    if bars is not None:
        assert strange_rows(bars, TRUTH.bars(instrument, size, NOW, COUNT)) <= spoiling.touched


@pytest.mark.parametrize(("instrument", "size"), SUBJECTS[:2])
@FEW
@given(draw=st.data())
def test_an_answer_that_ends_early_is_a_typed_error(
    stand: Stand, instrument: Instrument, size: BarSize, draw: st.DataObject
) -> None:
    body = sound(instrument, size)
    assert ask(stand, instrument, size, body[: draw.draw(st.integers(0, len(body) - 1))]) is None


@pytest.mark.parametrize(("instrument", "size"), SUBJECTS[1:3])
@FEW
@given(draw=st.data())
def test_a_byte_that_was_no_digit_and_is_another_one_makes_no_untrue_bar(
    stand: Stand, instrument: Instrument, size: BarSize, draw: st.DataObject
) -> None:
    """A digit for a digit is another number, and nobody can know; a point, a sign or a comma less is let pass."""
    body = bytearray(sound(instrument, size))
    where = draw.draw(st.sampled_from([at for at, byte in enumerate(body) if not chr(byte).isdigit()]))
    body[where] = draw.draw(st.sampled_from(b'x"{}[]:, \x00\xff'))
    bars = ask(stand, instrument, size, bytes(body))
    if bars is not None:
        assert strange_rows(bars, TRUTH.bars(instrument, size, NOW, COUNT)) == set()


def test_the_last_two_rows_exchanged_make_no_untrue_bar(stand: Stand) -> None:
    for instrument, size in SUBJECTS:
        chart = json.loads(sound(instrument, size))
        times = chart["chart"]["result"][0]["timestamp"]
        times[-2], times[-1] = times[-1], times[-2]
        bars = ask(stand, instrument, size, json.dumps(chart).encode())
        assert bars is not None
        assert strange_rows(bars, TRUTH.bars(instrument, size, NOW, COUNT)) == set()
        assert len(bars) >= COUNT - 2
