"""The real yfinance against a server that speaks Yahoo's protocol: which bars, prices and corporate actions arrive."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from core.adapters.history_files import HistoryFiles
from core.adapters.yahoo_spans import MOST_PER_CALL, REACH
from core.domain.bars import BarSize
from core.domain.corporate import CorporateAction
from core.domain.instruments import Instrument, instrument_for
from core.errors import DataFault, MalformedAnswer, NoBars, UnknownSymbol
from core.series import BarSeries, seconds_of
from tests.fakes_bars import needs_shared_data, steady_series
from tests.servers.yahoo_faults import nulls, page, spoiled
from tests.yahoo_stand import BTC, CALENDAR, COUNTS, NOW, SPY, TRUTH, Stand, same, stand

__all__ = ["stand"]
MINUTE = timedelta(minutes=1)


@pytest.mark.feature("S2")
@pytest.mark.parametrize("instrument", [SPY, BTC])
@pytest.mark.parametrize("size", list(COUNTS))
def test_closed_bars_arrive_as_they_are_with_their_close_times(
    stand: Stand, instrument: Instrument, size: BarSize
) -> None:
    """The clocks changed on 3 November 2024, and 3 July was a half day."""
    count = COUNTS[size] - 300 if size is BarSize.M5 else COUNTS[size] - 30
    bars = stand.yahoo.bars(instrument, size, NOW, count)
    assert same(bars, TRUTH.bars(instrument, size, NOW, count))
    assert len(bars) == count
    assert bars.bar(0).closed_at < datetime(2024, 11, 3, tzinfo=UTC) or instrument is BTC


def test_one_symbol_and_size_costs_one_request_for_prices(stand: Stand) -> None:
    stand.yahoo.bars(SPY, BarSize.D1, NOW, 300)
    stand.yahoo.bars(SPY, BarSize.M5, NOW, 1_500)
    assert len(stand.server.charts()) == 2
    assert len(stand.server.asked) <= 4, "cookie and crumb at most once"


@pytest.mark.parametrize("instrument", [SPY, BTC])
@pytest.mark.parametrize("count", [1, 40, 170])
def test_only_the_time_of_the_wanted_bars_is_asked_for(stand: Stand, instrument: Instrument, count: int) -> None:
    bars = stand.yahoo.bars(instrument, BarSize.M5, NOW, count)
    assert len(bars) == count
    assert int(stand.server.charts()[0].query["period1"]) == bars.opened_at[0]


def test_of_the_past_only_its_own_time_is_asked_for_and_an_answer_is_never_a_remembered_one(stand: Stand) -> None:
    end = datetime(2024, 11, 22, 21, tzinfo=UTC)
    stand.server.faults.once["SPY"] = [page(502, "gone"), page(502, "gone")]
    with pytest.raises(Exception, match="out of order"):
        stand.yahoo.bars(SPY, BarSize.M5, end, 30)
    for _ in range(2):
        assert same(stand.yahoo.bars(SPY, BarSize.M5, end, 30), TRUTH.bars(SPY, BarSize.M5, end, 30))
    assert [each.status for each in stand.server.charts()] == [502, 502, 200, 200]
    assert len(stand.slept) == 1, "the remembered answer is not even tried"
    spans = {(int(each.query["period1"]), int(each.query["period2"])) for each in stand.server.charts("SPY")}
    assert spans == {(seconds_of(end - timedelta(minutes=150)), seconds_of(end))}


@pytest.mark.parametrize("live_at", [NOW, NOW.replace(minute=0, second=1), NOW.replace(second=0, minute=0)])
def test_a_live_row_never_becomes_a_bar(stand: Stand, live_at: datetime) -> None:
    for instrument in (SPY, BTC):
        stand.server.exchange.live[instrument.symbol] = (live_at, 1e6)
        for size in (BarSize.M5, BarSize.D1):
            bars = stand.yahoo.bars(instrument, size, NOW, 50)
            assert bars.high.max() < 1e6
            assert bars.bar(len(bars) - 1).closed_at <= NOW
            assert same(bars, TRUTH.bars(instrument, size, NOW, 50))


@pytest.mark.feature("S2")
@pytest.mark.parametrize("instrument", [SPY, BTC])
def test_a_bar_that_yahoo_still_makes_is_not_taken_by_a_clock_that_is_ahead(
    stand: Stand, instrument: Instrument
) -> None:
    """Ours says 11:05:02, Yahoo's 11:02:17: the bar from 11:00 is not complete, whatever our clock says."""
    stand.clock.time = NOW + timedelta(minutes=2, seconds=45)
    stand.server.exchange.live[instrument.symbol] = (NOW, 1e6)
    bars = stand.yahoo.bars(instrument, BarSize.M5, stand.clock.time, 20)
    assert bars.bar(len(bars) - 1).closed_at == NOW.replace(minute=0, second=0)
    assert same(bars, TRUTH.bars(instrument, BarSize.M5, NOW, 19))


def test_a_live_row_told_late_changes_no_bar_that_is_closed(stand: Stand) -> None:
    """A trade of 10:57 told at 11:02 belongs to a bar whose own row is there; yfinance would merge the two."""
    stand.server.exchange.series["BTC-USD", BarSize.M5] = TRUTH.bars(BTC, BarSize.M5, NOW.replace(minute=0), 200)
    stand.server.exchange.live["BTC-USD"] = (NOW.replace(hour=15, minute=57, second=40), 1e6)
    bars = stand.yahoo.bars(BTC, BarSize.M5, NOW, 20)
    assert same(bars, TRUTH.bars(BTC, BarSize.M5, NOW, 20))


def test_a_daily_bar_of_a_running_session_is_held_back(stand: Stand) -> None:
    bars = stand.yahoo.bars(SPY, BarSize.D1, NOW, 3)
    assert bars.bar(2).closed_at == datetime(2024, 11, 26, 21, tzinfo=UTC)
    assert bars.bar(2).opened_at == datetime(2024, 11, 26, 14, 30, tzinfo=UTC)


@pytest.mark.feature("S9")
def test_a_half_day_ends_early_with_its_daily_bar_and_its_last_five_minutes(stand: Stand) -> None:
    """Friday after Thanksgiving 2024 closes at 13:00 New York; Thursday has no session."""
    after = datetime(2024, 11, 29, 18, 0, 5, tzinfo=UTC)
    stand.clock.time = stand.server.exchange.now = after
    for size, count in ((BarSize.D1, 5), (BarSize.M5, 60)):
        stand.server.exchange.series["SPY", size] = TRUTH.bars(SPY, size, after + timedelta(days=3), 200)
        bars = stand.yahoo.bars(SPY, size, after, count)
        assert same(bars, TRUTH.bars(SPY, size, after, count))
        assert bars.bar(len(bars) - 1).closed_at == datetime(2024, 11, 29, 18, tzinfo=UTC)


def test_missing_values_are_handed_on_for_the_quality_gate_to_name(stand: Stand) -> None:
    stand.server.faults.standing["BTC-USD"] = spoiled(nulls)
    bars = stand.yahoo.bars(BTC, BarSize.M5, NOW, 1_999)
    assert np.isnan(bars.close).sum() == 1
    assert np.isnan(bars.volume).sum() == 1, "yfinance alone would call it zero"


def test_beyond_yahoos_memory_there_are_simply_no_bars(stand: Stand) -> None:
    assert len(stand.yahoo.bars(BTC, BarSize.M5, NOW - timedelta(days=90), 5)) == 0
    assert stand.server.charts() == []
    assert len(stand.yahoo.bars(BTC, BarSize.M5, NOW, 100_000)) > 1_500


def test_a_past_span_without_trades_is_empty_and_no_fault(stand: Stand) -> None:
    assert len(stand.yahoo.bars(SPY, BarSize.D1, datetime(2019, 5, 3, tzinfo=UTC), 5)) == 0
    assert [each.status for each in stand.server.charts()] == [400]


@pytest.mark.parametrize("days", [3, 7, 20, 60])
def test_minutes_come_in_the_fewest_calls_that_yahoos_limits_allow(stand: Stand, days: int) -> None:
    minutes = 24 * 60 * days
    first = NOW.replace(second=0) - MINUTE * 24 * 60 * 40
    stand.server.exchange.series["BTC-USD", BarSize.M1] = steady_series("BTC-USD", BarSize.M1, first, 24 * 60 * 40)
    bars = stand.yahoo.bars(BTC, BarSize.M1, NOW, minutes)
    span = min(days * timedelta(days=1), REACH[BarSize.M1])
    least = -(-span // MOST_PER_CALL[BarSize.M1])
    assert len(stand.server.charts()) == least
    assert len(bars) == min(minutes, 24 * 60 * 29 - 1), "the minute that was open 29 days ago is not whole"
    assert (np.diff(bars.closed_at) == 60).all()
    assert {each.status for each in stand.server.charts()} == {200}


def test_a_live_row_beside_each_part_of_the_past_gets_into_none(stand: Stand) -> None:
    """Yahoo adds its newest row whatever was asked for; here it bears the time of a whole minute."""
    minutes = 24 * 60 * 20
    truth = steady_series("BTC-USD", BarSize.M1, NOW.replace(second=0) - MINUTE * minutes, minutes)
    stand.server.exchange.series["BTC-USD", BarSize.M1] = truth
    stand.server.exchange.live["BTC-USD"] = (NOW.replace(second=0) - 3 * MINUTE, 1e6)
    bars = stand.yahoo.bars(BTC, BarSize.M1, NOW, minutes)
    assert len(stand.server.charts()) == 3
    assert bars.high.max() < 1e6
    assert (np.diff(bars.closed_at) > 0).all()
    assert len(bars) == minutes - 1, "the minute that was told in two ways is left out"


@pytest.mark.parametrize("size", [BarSize.M5, BarSize.D1])
def test_a_time_that_is_told_twice_with_different_prices_is_left_out(stand: Stand, size: BarSize) -> None:
    def double(result: Any) -> None:
        result["timestamp"][5] = result["timestamp"][6]

    stand.server.faults.standing["BTC-USD"] = spoiled(double)
    bars, truth = stand.yahoo.bars(BTC, size, NOW, 20), TRUTH.bars(BTC, size, NOW, 20)
    assert same(bars, truth.part(np.r_[0:5, 7:20]))


@pytest.mark.parametrize(("size", "added"), [(BarSize.M5, 0.0), (BarSize.D1, 1.0)])
def test_of_a_time_that_is_told_twice_with_one_price_the_day_counts_its_newer_volume(
    stand: Stand, size: BarSize, added: float
) -> None:
    """The later row is a live one: newer for the day that it tells of, and of five minutes only its last trade."""

    def double(result: Any) -> None:
        quote = result["indicators"]["quote"][0]
        for values in (result["timestamp"], *quote.values()):
            values.insert(6, values[5])
        quote["volume"][6] += 1
        for adjusted in result["indicators"].get("adjclose", []):
            adjusted["adjclose"].insert(6, adjusted["adjclose"][5])

    stand.server.faults.standing["BTC-USD"] = spoiled(double)
    bars, truth = stand.yahoo.bars(BTC, size, NOW, 20), TRUTH.bars(BTC, size, NOW, 20)
    assert np.array_equal(bars.closed_at, truth.closed_at)
    assert bars.volume[5] == truth.volume[5] + added


def test_a_row_from_before_the_time_that_was_asked_for_is_no_bar(stand: Stand) -> None:
    stand.server.faults.standing["SPY"] = spoiled(lambda result: result["timestamp"].__setitem__(0, -1))
    bars, truth = stand.yahoo.bars(SPY, BarSize.D1, NOW, 20), TRUTH.bars(SPY, BarSize.D1, NOW, 20)
    assert same(bars, truth.part(slice(1, None)))


@pytest.mark.feature("S3")
@pytest.mark.parametrize("symbol", ["NOSUCH", "NOSUCH-USD", "US0378331005", "SPY/../X", "SPY?A", "A" * 21])
def test_an_unknown_symbol_is_a_fault_of_that_symbol_alone(stand: Stand, symbol: str) -> None:
    with pytest.raises(UnknownSymbol, match="knows no such symbol") as fault:
        stand.yahoo.bars(instrument_for(symbol), BarSize.D1, NOW, 5)
    assert fault.value.symbol == symbol
    assert len(stand.server.charts()) <= 1
    assert len(stand.yahoo.bars(SPY, BarSize.D1, NOW, 5)) == 5


def test_a_delisted_symbol_of_which_yahoo_keeps_the_name_is_unknown(stand: Stand) -> None:
    stand.server.exchange.delisted.add("TWTR")
    with pytest.raises(UnknownSymbol, match="no longer listed"):
        stand.yahoo.bars(instrument_for("TWTR"), BarSize.D1, NOW, 5)


def test_a_symbol_without_bars_in_the_range_has_no_bars(stand: Stand) -> None:
    stand.server.exchange.series["SPY", BarSize.M5] = BarSeries.empty("SPY", BarSize.M5)
    with pytest.raises(NoBars, match="has no 5m bars in that time"):
        stand.yahoo.bars(SPY, BarSize.M5, NOW, 5)


@pytest.mark.feature("S3")
@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"currency": "GBp"}, "is priced in GBp"),
        ({"exchangeTimezoneName": "Europe/London"}, "trades by the clock of Europe/London"),
        ({"instrumentType": "INDEX"}, "is of the kind INDEX"),
        ({"instrumentType": "FUTURE"}, "is of the kind FUTURE"),
    ],
)
def test_what_we_cannot_trade_is_refused_with_the_reason(stand: Stand, said: dict[str, Any], words: str) -> None:
    stand.server.exchange.meta["SPY"] = said
    with pytest.raises(DataFault, match=f"{words}, which AutoTrader does not trade"):
        stand.yahoo.bars(SPY, BarSize.D1, NOW, 5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda result: result["meta"].update(symbol="QQQ"), "it is of 'QQQ'"),
        (lambda result: result["meta"].update(dataGranularity="1mo"), "bars are of '1mo', not 1d"),
        (lambda result: result["indicators"]["quote"][0]["close"].pop(), "column close does not fit its times"),
        (lambda result: result["timestamp"].reverse(), "not in the order of time"),
        (lambda result: result["indicators"]["quote"][0].update(low="low"), "column low does not fit"),
        (lambda result: result["indicators"]["quote"][0]["open"].__setitem__(3, True), "something else than numbers"),
        (lambda result: result["indicators"]["quote"][0]["volume"].__setitem__(3, 1e30), "beyond measure"),
        (lambda result: result["meta"].pop("currency"), "it lacks currency"),
        (lambda result: result["indicators"].update(adjclose=[{"adjclose": [1]}]), "that cannot be used"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_not_used_at_all(
    stand: Stand, change: Callable[[Any], object], words: str
) -> None:
    stand.server.faults.standing["SPY"] = spoiled(change)
    with pytest.raises(MalformedAnswer, match=words):
        stand.yahoo.bars(SPY, BarSize.D1, NOW, 5)


def test_last_prices_carry_the_time_of_their_trade_and_leave_out_the_unknown(stand: Stand) -> None:
    traded = NOW - timedelta(seconds=40)
    stand.server.exchange.live["SPY"] = (traded, 601.25)
    stand.server.faults.standing["BTC-USD"] = page(502, "gone")
    quotes = stand.yahoo.last([SPY, BTC, instrument_for("NOSUCH")], NOW)
    assert set(quotes) == {"SPY"}
    assert (quotes["SPY"].price, quotes["SPY"].at) == (601.25, traded)


def test_dividends_and_splits_come_with_the_bars_of_their_time(stand: Stand) -> None:
    opens = CALENDAR.sessions_between(date(2024, 11, 18), date(2024, 11, 22))[1]
    at = [datetime.fromtimestamp(int(second), UTC) for second in opens]
    told = [
        CorporateAction("SPY", at[1], dividend=Decimal("1.7456")),
        CorporateAction("SPY", at[3], ratio=Decimal(4)),
    ]
    stand.server.exchange.actions["SPY"] = told
    assert stand.yahoo.actions("SPY", at[0], NOW) == []
    for size, count in ((BarSize.D1, 20), (BarSize.M5, 700)):
        assert same(stand.yahoo.bars(SPY, size, NOW, count), TRUTH.bars(SPY, size, NOW, count))
        dividend, split = stand.yahoo.actions("SPY", at[0], NOW)
        assert (dividend.at, dividend.dividend, dividend.ratio) == (at[1], Decimal("1.7456"), Decimal(1))
        assert (split.at, split.dividend, split.ratio) == (at[3], Decimal(0), Decimal(4))
        before = TRUTH.bars(SPY, size, at[3] - timedelta(seconds=1), 1).close[-1]
        assert float(split.price) == before, "an odd share is paid at the close before, in new units"
    assert stand.yahoo.actions("SPY", at[1], at[2]) == []
    assert len(stand.yahoo.actions("SPY", at[1], at[3])) == 1


def test_a_dividend_on_the_day_of_a_split_is_told_for_the_units_held_before(stand: Stand) -> None:
    at = datetime(2024, 11, 20, 14, 30, tzinfo=UTC)
    both = CorporateAction("SPY", at, dividend=Decimal("2.5"), ratio=Decimal("1.5"))
    stand.server.exchange.actions["SPY"] = [both]
    stand.yahoo.bars(SPY, BarSize.D1, NOW, 20)
    told = stand.yahoo.actions("SPY", at - MINUTE, at)[0]
    assert told.ratio == Decimal("1.5")
    assert abs(told.dividend - both.dividend) < Decimal("1e-12")


def test_a_funds_distributed_gains_are_cash_once_and_what_is_nothing_is_no_action(stand: Stand) -> None:
    """Yahoo's dividend holds the gains already where it tells of both."""
    days = [datetime(2024, 11, day, 14, 30, tzinfo=UTC) for day in (18, 19, 20, 21)]
    dates = [seconds_of(day) for day in days]

    def distribute(result: Any) -> None:
        result["events"] = {
            "dividends": {
                "a": {"date": dates[0], "amount": 1.5},
                "b": {"date": dates[1], "amount": 0.25},
                "c": {"date": dates[3], "amount": 0.0},
            },
            "capitalGains": {"a": {"date": dates[0], "amount": 1.2}, "b": {"date": dates[2], "amount": 0.7}},
            "splits": {"c": {"date": dates[3], "numerator": 1.0, "denominator": 1.0, "splitRatio": "1:1"}},
        }

    stand.server.faults.standing["SPY"] = spoiled(distribute)
    assert len(stand.yahoo.bars(SPY, BarSize.D1, NOW, 20)) == 20
    told = [(action.at, action.dividend) for action in stand.yahoo.actions("SPY", days[0] - MINUTE, NOW)]
    assert told == [(days[0], Decimal("1.5")), (days[1], Decimal("0.25")), (days[2], Decimal("0.7"))]


@pytest.mark.parametrize(
    "events",
    [
        {"dividends": {"1": {"date": 1732113000, "amount": -1.0}}},
        {"splits": {"1": {"date": 1732113000, "numerator": 4.0, "denominator": 0.0}}},
        {"dividends": {"1": {"date": "soon", "amount": 1.0}}},
        {"splits": {"1": {"date": 1732113000, "numerator": 1e300, "denominator": 1.0}}},
    ],
)
def test_an_action_that_makes_no_sense_spoils_its_answer(stand: Stand, events: dict[str, Any]) -> None:
    stand.server.faults.standing["SPY"] = spoiled(lambda result: result.update(events=events))
    with pytest.raises(MalformedAnswer):
        stand.yahoo.bars(SPY, BarSize.D1, NOW, 20)
    assert stand.yahoo.actions("SPY", NOW - timedelta(days=30), NOW) == []


@pytest.mark.feature("S9")
@pytest.mark.shared_data
@needs_shared_data
def test_years_of_real_days_come_back_with_every_dividend_of_theirs(stand: Stand) -> None:
    files = HistoryFiles(needs_shared_data.folder, CALENDAR)
    truth = files.bars(SPY, BarSize.D1, NOW, 2_500)
    begin = datetime.fromtimestamp(int(truth.opened_at[0]), UTC)
    told = files.actions("SPY", begin, NOW)
    stand.server.exchange.series["SPY", BarSize.D1] = truth
    stand.server.exchange.actions["SPY"] = told
    assert same(stand.yahoo.bars(SPY, BarSize.D1, NOW, 2_500), truth)
    heard = stand.yahoo.actions("SPY", begin, NOW)
    assert len(heard) > 30
    assert [(each.at, each.dividend, each.ratio) for each in heard] == [
        (each.at, each.dividend, each.ratio) for each in told
    ]
