"""Whatever comes instead of Alpaca's answer: true bars of sessions in order, or an error that says so."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.adapters.alpaca_quotes import MOST_SPREAD, middle
from core.adapters.alpaca_rows import actions_of, bars_of, rows_of
from core.domain.bars import BarSize
from core.domain.instruments import Instrument
from core.errors import MalformedAnswer
from core.series import BarSeries
from tests.alpaca_stand import BTC, CALENDAR, KNOWN, SPY, same

M5 = BarSize.M5
KEYS = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KEYS, "t", "SPY"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def told(series: BarSeries) -> list[dict[str, Any]]:
    times = [f"{bar.opened_at:%Y-%m-%dT%H:%M:%SZ}" for bar in series.bars()]
    columns = {key: getattr(series, name).tolist() for key, name in KEYS.items()}
    return [{"t": at} | {key: column[row] for key, column in columns.items()} for row, at in enumerate(times)]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), instrument=st.sampled_from([SPY, BTC]))
def test_bars_in_any_order_told_once_or_twice_are_the_same_bars(data: st.DataObject, instrument: Instrument) -> None:
    name = instrument.symbol.replace("-", "/")
    truth = KNOWN[instrument.symbol, M5].last(40)
    rows = told(truth)
    contested = data.draw(st.sets(st.integers(0, 39), max_size=5))
    again = [rows[index] for index in data.draw(st.lists(st.integers(0, 39), max_size=8))]
    others = [rows[index] | {"c": rows[index]["c"] + 0.5} for index in contested]
    between = [rows[index] | {"t": rows[index]["t"].replace(":00Z", ":17Z")} for index in range(3)]
    mixed = data.draw(st.permutations(rows + again + others + between))
    series = bars_of(rows_of({name: mixed}, name), instrument, M5, CALENDAR)
    kept = np.array([index not in contested for index in range(40)])
    assert same(series, truth.part(kept)), (len(series), int(kept.sum()))


@settings(max_examples=200, deadline=None)
@given(answer=JSON, size=st.sampled_from(list(BarSize)), instrument=st.sampled_from([SPY, BTC]))
def test_any_answer_gives_ordered_bars_of_sessions_or_says_that_it_has_no_known_form(
    answer: Any, size: BarSize, instrument: Instrument
) -> None:
    for body in (answer, {"SPY": answer}, {"SPY": [answer]}):
        try:
            series = bars_of(rows_of(json.loads(json.dumps(body)), "SPY"), instrument, size, CALENDAR)
        except MalformedAnswer:
            continue
        assert (np.diff(series.closed_at) > 0).all()
        assert np.array_equal(CALENDAR.bar_closes(instrument.asset_class, size, series.opened_at), series.closed_at)


@settings(max_examples=100, deadline=None)
@given(answer=JSON, kind=st.sampled_from(["cash_dividends", "forward_splits", "reverse_splits"]))
def test_any_answer_gives_corporate_actions_that_can_be_or_says_that_it_has_no_known_form(
    answer: Any, kind: str
) -> None:
    for body in (answer, {kind: answer}, {kind: [answer]}):
        try:
            actions = actions_of(body, "SPY", CALENDAR)
        except MalformedAnswer:
            continue
        assert all(action.ratio > 0 and action.dividend >= 0 for action in actions)


@given(bid=st.floats() | st.none() | st.text(max_size=3), ask=st.floats() | st.integers() | st.booleans())
def test_a_price_lies_between_a_bid_and_an_ask_that_are_close(bid: Any, ask: Any) -> None:
    price = middle(bid, ask)
    if price is not None:
        assert 0 < bid < ask and bid <= price <= ask
        assert ask - bid <= MOST_SPREAD * price
