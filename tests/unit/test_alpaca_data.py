"""The real alpaca-py against a server that speaks Alpaca's protocol: bars, corporate actions, each kind of failure."""

from __future__ import annotations

import gc
import pickle
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from core.adapters import alpaca_data
from core.adapters.alpaca_transport import AlpacaKeys
from core.domain.bars import BarSize
from core.domain.corporate import CorporateAction
from core.domain.instruments import Instrument, instrument_for
from core.errors import (
    AccessRefused,
    AutoTraderError,
    DataFault,
    MalformedAnswer,
    NoBars,
    RateLimited,
    Transient,
    UnknownSymbol,
    Unreachable,
)
from tests.alpaca_stand import BTC, KNOWN, NOW, SPY, TRUTH, Stand, same, source_at, stand
from tests.fakes_bars import StillClock
from tests.servers.alpaca_data_server import AlpacaDataServer
from tests.servers.alpaca_http import KEY_ID, SECRET

__all__ = ["stand"]


@pytest.mark.feature("S2")
@pytest.mark.parametrize("instrument", [SPY, BTC], ids=lambda each: each.symbol)
@pytest.mark.parametrize("size", [BarSize.D1, BarSize.H1, BarSize.M5])
def test_closed_bars_arrive_as_they_are_with_our_labels_and_close_times(
    stand: Stand, instrument: Instrument, size: BarSize
) -> None:
    assert same(stand.alpaca.bars(instrument, size, NOW, 30), TRUTH.bars(instrument, size, NOW, 30))


def test_what_was_traded_outside_the_session_is_in_no_bar(stand: Stand) -> None:
    stand.server.extended_price = 1e6
    for size in (BarSize.H1, BarSize.M5):
        assert same(stand.alpaca.bars(SPY, size, NOW, 90), TRUTH.bars(SPY, size, NOW, 90))


def test_a_day_in_summer_and_one_in_winter_each_get_their_own_session() -> None:
    summer = datetime(2024, 7, 2, 21, tzinfo=UTC)
    known = {("SPY", BarSize.D1): TRUTH.bars(SPY, BarSize.D1, summer, 300)}
    with AlpacaDataServer(known, lambda: summer) as server:
        bars = source_at(server.address, StillClock(summer)).bars(SPY, BarSize.D1, summer, 200)
    assert same(bars, TRUTH.bars(SPY, BarSize.D1, summer, 200))
    assert {closed % 86_400 // 3_600 for closed in bars.closed_at.tolist()} >= {20, 21}


def test_a_half_day_ends_its_last_hour_early() -> None:
    friday = datetime(2024, 11, 29, 22, tzinfo=UTC)
    known = {("SPY", BarSize.H1): TRUTH.bars(SPY, BarSize.H1, friday, 40)}
    with AlpacaDataServer(known, lambda: friday) as server:
        bars = source_at(server.address, StillClock(friday)).bars(SPY, BarSize.H1, friday, 20)
    assert same(bars, TRUTH.bars(SPY, BarSize.H1, friday, 20))
    assert bars.bar(19).closed_at == datetime(2024, 11, 29, 18, tzinfo=UTC)


def test_a_coins_day_and_a_stocks_hour_of_which_a_part_is_missing_are_not_told(stand: Stand) -> None:
    hours = TRUTH.bars(BTC, BarSize.H1, NOW, 24 * 20)
    holed = stand.alpaca.bars(BTC, BarSize.D1, NOW, 10).opened_at[4]
    stand.server.series["BTC-USD", BarSize.H1] = hours.part(hours.opened_at != holed + 7_200)
    days = stand.alpaca.bars(BTC, BarSize.D1, NOW, 10).opened_at
    assert holed not in days and holed + 86_400 in days
    halves = [row(f"2024-11-26T{at}:00Z", price) for at, price in (("15:30", 2.0), ("16:00", 3.0), ("17:00", 4.0))]
    halves += [row("2024-11-26T20:30:00Z", 5.0), row("2024-11-26T20:30:00Z", 6.0), row("2024-11-26T21:00:00Z", 9.0)]
    stand.server.raw["SPY"] = halves
    told = stand.alpaca.bars(SPY, BarSize.H1, NOW, 100)
    assert [(bar.opened_at.hour, bar.open, bar.close, bar.volume) for bar in told.bars()] == [
        (15, 2.0, 3.0, 10.0),
        (20, 6.0, 6.0, 5.0),
    ]


def test_more_bars_than_a_page_holds_come_whole(stand: Stand) -> None:
    stand.server.page = 70
    assert same(stand.alpaca.bars(SPY, BarSize.M5, NOW, 300), TRUTH.bars(SPY, BarSize.M5, NOW, 300))
    assert stand.server.count("/bars") == 5


def test_a_long_past_is_asked_for_a_page_at_a_time_without_a_bar_lost_or_doubled(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alpaca_data, "ROWS_AT_ONCE", 100)
    for instrument, size, calls in ((SPY, BarSize.M5, 9), (BTC, BarSize.M5, 3), (BTC, BarSize.D1, 8)):
        count = 30 if size is BarSize.D1 else 300
        stand.server.calls.clear()
        assert same(stand.alpaca.bars(instrument, size, NOW, count), TRUTH.bars(instrument, size, NOW, count))
        assert (instrument, stand.server.count("/bars")) == (instrument, calls)


def test_pages_without_end_are_given_up_at_the_deadline(stand: Stand) -> None:
    class Endless(AlpacaDataServer):
        def respond(self, call: Any) -> Any:
            return super().respond(call) | {"next_page_token": "U1BZfE18MjAyNA=="}

    with Endless(KNOWN, stand.clock.now) as server:
        server._bars = lambda *_: {"bars": {}}  # type: ignore[method-assign]
        with pytest.raises(Unreachable, match=r"within 0\.4 s"):
            source_at(server.address, budget=0.4).bars(SPY, BarSize.D1, NOW, 5)


def test_prices_are_asked_for_adjusted_for_splits_from_the_free_feed(stand: Stand) -> None:
    stand.server.splits["SPY"] = [(date(2024, 11, 20), 4.0)]
    bars = stand.alpaca.bars(SPY, BarSize.D1, NOW, 30)
    assert same(bars, TRUTH.bars(SPY, BarSize.D1, NOW, 30))
    asked = stand.server.calls[-1].query
    assert (asked["adjustment"], asked["feed"], asked["timeframe"], asked["limit"]) == ("split", "iex", "1Day", "10000")


def test_a_past_end_is_kept_to(stand: Stand) -> None:
    end = NOW - timedelta(days=2)
    for instrument in (SPY, BTC):
        assert same(stand.alpaca.bars(instrument, BarSize.M5, end, 30), TRUTH.bars(instrument, BarSize.M5, end, 30))


def test_a_daily_bar_of_a_running_session_is_held_back(stand: Stand) -> None:
    assert stand.alpaca.bars(SPY, BarSize.D1, NOW, 3).bar(2).closed_at == datetime(2024, 11, 26, 21, tzinfo=UTC)
    assert stand.alpaca.bars(BTC, BarSize.D1, NOW, 3).bar(2).closed_at == datetime(2024, 11, 27, tzinfo=UTC)


@pytest.mark.parametrize("instrument", [SPY, BTC], ids=lambda each: each.symbol)
def test_a_bar_that_alpaca_still_makes_is_not_taken_by_a_clock_that_is_ahead(
    stand: Stand, instrument: Instrument
) -> None:
    stand.server.now = lambda: NOW
    stand.clock.time = NOW + timedelta(minutes=4)
    told = stand.alpaca.bars(instrument, BarSize.M5, stand.clock.time, 5)
    assert same(told, TRUTH.bars(instrument, BarSize.M5, NOW, 5).last(len(told)))
    assert len(told) == 4


def row(at: str, close: float = 100.0, **other: Any) -> dict[str, Any]:
    return {"t": at, "o": close, "h": close, "l": close, "c": close, "v": 5, "n": 1, "vw": close} | other


def test_a_bar_told_twice_alike_counts_once_and_a_contested_one_not_at_all(stand: Stand) -> None:
    stand.server.raw["SPY"] = [
        row("2024-11-26T15:00:00Z"),
        row("2024-11-26T15:00:00Z"),
        row("2024-11-26T15:05:00Z"),
        row("2024-11-26T15:05:00Z", 101.0),
        row("2024-11-26T15:07:00Z"),
    ]
    bars = stand.alpaca.bars(SPY, BarSize.M5, NOW, 100)
    assert [bar.opened_at for bar in bars.bars()] == [datetime(2024, 11, 26, 15, tzinfo=UTC)]


def test_a_null_price_is_handed_on_for_the_quality_gate_to_name(stand: Stand) -> None:
    stand.server.raw["SPY"] = [row("2024-11-26T15:00:00Z", c=None)]
    assert np.isnan(stand.alpaca.bars(SPY, BarSize.M5, NOW, 100).close).all()


@pytest.mark.parametrize("damage", [{"c": "100.0"}, {"t": 1_732_633_200}, {"t": "noon"}, {"v": True}])
def test_a_bar_in_no_known_form_spoils_the_whole_answer(stand: Stand, damage: dict[str, Any]) -> None:
    stand.server.raw["SPY"] = [row("2024-11-26T15:00:00Z"), row("2024-11-26T15:05:00Z") | damage]
    stand.server._bars = lambda call, shape: {  # type: ignore[method-assign]
        "bars": {"SPY": stand.server.raw["SPY"]},
        "next_page_token": None,
    }
    with pytest.raises(MalformedAnswer, match="SPY"):
        stand.alpaca.bars(SPY, BarSize.M5, NOW, 100)


def test_bars_of_another_symbol_are_not_taken_for_those_asked_for(stand: Stand) -> None:
    stand.server._bars = lambda call, shape: {"bars": {"QQQ": [row("2024-11-26T15:00:00Z")]}}  # type: ignore[method-assign]
    with pytest.raises(MalformedAnswer, match="not those of SPY"):
        stand.alpaca.bars(SPY, BarSize.M5, NOW, 100)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("401", AccessRefused, "does not accept the keys"),
        ("401 html", AccessRefused, "does not accept the keys"),
        ("403", AccessRefused, "does not accept the keys"),
        ("403 feed", AccessRefused, "recent SIP data"),
        ("422", DataFault, "end should not be before start"),
        ("429", RateLimited, "too many requests"),
        ("500", Unreachable, "out of order .HTTP 500"),
        ("502", Unreachable, "out of order .HTTP 502"),
        ("504", Unreachable, "out of order .HTTP 504"),
        ("reset", Unreachable, "no connection"),
        ("truncated", Unreachable, "broke off"),
        ("moved", MalformedAnswer, "elsewhere"),
        ("page", MalformedAnswer, "cannot be used"),
        ("cut json", MalformedAnswer, "cannot be used"),
        ("list", MalformedAnswer, "cannot be used"),
        ("null", MalformedAnswer, "cannot be used"),
        ("empty", MalformedAnswer, "cannot be used"),
    ],
)
def test_each_way_to_fail_has_its_class_its_words_and_no_more_requests_than_make_sense(
    stand: Stand, fault: str, kind: type[AutoTraderError], words: str
) -> None:
    for instrument in (SPY, BTC):
        stand.restraint.succeeded()
        stand.server.calls.clear()
        stand.server.faults.standing = {"": fault}
        with pytest.raises(kind, match=words) as failure:
            stand.alpaca.bars(instrument, BarSize.D1, NOW, 5)
        assert type(failure.value) is kind
        # What may be over in a moment is asked once more, after a moment.
        assert len(stand.server.calls) == 1 + len(stand.slept) == (2 if kind in (Unreachable, MalformedAnswer) else 1)
        stand.server.faults.clear()
        stand.slept.clear()
        stand.clock.time += timedelta(hours=2)
        assert len(stand.alpaca.bars(instrument, BarSize.D1, NOW, 5)) == 5
        stand.clock.time = NOW


@pytest.mark.parametrize("fault", ["502", "reset", "truncated", "page"])
def test_what_breaks_once_is_asked_again_within_the_call(stand: Stand, fault: str) -> None:
    stand.server.faults.once["/bars"] = [fault]
    assert same(stand.alpaca.bars(SPY, BarSize.D1, NOW, 5), TRUTH.bars(SPY, BarSize.D1, NOW, 5))
    assert (len(stand.server.calls), stand.slept) == (2, [0.5])


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_a_call_ends_at_its_deadline_however_slow_the_answer(stand: Stand, fault: str) -> None:
    stand.server.faults.standing = {"": fault}
    clock = StillClock(NOW)
    began = clock.monotonic()
    with pytest.raises(Unreachable, match=r"did not answer within 0\.3 s"):
        source_at(stand.server.address, budget=0.3).bars(SPY, BarSize.D1, NOW, 50)
    assert clock.monotonic() - began < 3.0


def test_an_absent_server_and_an_unknown_name_cannot_be_reached(stand: Stand) -> None:
    with AlpacaDataServer({}, stand.clock.now) as gone:
        address = gone.address
    with pytest.raises(Unreachable, match="no connection"):
        source_at(address).bars(SPY, BarSize.D1, NOW, 5)
    with pytest.raises(Unreachable, match="name is not found"):
        source_at("http://no-such-host.invalid").bars(SPY, BarSize.D1, NOW, 5)


@pytest.mark.parametrize("symbol", ["NOSUCH", "NOSUCH-USD", "^GSPC", "EURUSD=X", "BTC-EUR-USD"])
def test_an_unknown_symbol_is_told_apart_from_one_without_bars(stand: Stand, symbol: str) -> None:
    with pytest.raises(UnknownSymbol) as unknown:
        stand.alpaca.bars(instrument_for(symbol), BarSize.D1, NOW, 5)
    assert unknown.value.symbol == symbol
    stand.server.quotes["VTI"] = (290.0, 290.1, NOW)
    with pytest.raises(NoBars):
        stand.alpaca.bars(instrument_for("VTI"), BarSize.D1, NOW, 5)


def test_a_share_class_has_alpacas_spelling_there(stand: Stand) -> None:
    stand.server.series["BRK-B", BarSize.D1] = replace(KNOWN["SPY", BarSize.D1], symbol="BRK-B")
    bars = stand.alpaca.bars(instrument_for("BRK-B"), BarSize.D1, NOW, 5)
    assert (bars.symbol, len(bars)) == ("BRK-B", 5)
    assert stand.server.calls[-1].query["symbols"] == "BRK.B"


def test_a_symbol_that_alpaca_itself_refuses_is_unknown(stand: Stand) -> None:
    stand.server._symbols = _refusing  # type: ignore[method-assign]
    with pytest.raises(UnknownSymbol, match="invalid symbol: SPY"):
        stand.alpaca.bars(SPY, BarSize.D1, NOW, 5)


def _refusing(*_: Any) -> list[str]:
    from tests.servers.alpaca_http import Refusal

    raise Refusal(400, "invalid symbol: SPY")


def test_a_rate_limit_silences_us_until_alpaca_itself_allows_more(stand: Stand) -> None:
    stand.server.faults.once["/bars"] = ["429"]
    with pytest.raises(RateLimited) as first:
        stand.alpaca.bars(SPY, BarSize.D1, NOW, 5)
    # Of the minute that began at :02:00, 43 seconds are left.
    assert first.value.retry_at is not None and first.value.retry_at >= NOW + timedelta(seconds=43)
    asked = len(stand.server.calls)
    with pytest.raises(RateLimited):
        stand.alpaca.bars(BTC, BarSize.D1, NOW, 5)
    assert len(stand.server.calls) == asked
    stand.clock.time = first.value.retry_at
    assert len(stand.alpaca.bars(SPY, BarSize.D1, NOW, 5)) == 5


def test_the_minutes_quota_is_never_overrun(stand: Stand) -> None:
    stand.server.quota = 3
    stand.server.page = 1
    with pytest.raises(RateLimited, match="no more requests for now"):
        stand.alpaca.bars(SPY, BarSize.D1, NOW, 5)
    assert len(stand.server.calls) == 3
    stand.clock.time += timedelta(seconds=43)
    stand.server.quota = None
    assert len(stand.alpaca.bars(SPY, BarSize.D1, NOW, 5)) == 5


def test_requests_of_one_account_are_spaced(stand: Stand) -> None:
    slept: list[float] = []
    source = source_at(stand.server.address, sleep=slept.append, spacing=0.3)
    stand.server.page = 2
    source.bars(SPY, BarSize.D1, NOW, 5)
    assert len(slept) == stand.server.count("/bars") - 1 == 2
    assert all(0 < each <= 0.6 for each in slept)


def test_calls_that_wait_for_their_turn_beyond_the_deadline_are_not_made(stand: Stand) -> None:
    source = source_at(stand.server.address, spacing=60.0, budget=1.0)
    source.bars(SPY, BarSize.D1, NOW, 5)
    with pytest.raises(Unreachable, match="no turn within 1 s"):
        source.bars(BTC, BarSize.D1, NOW, 5)
    assert len(stand.server.calls) == 1


def reachable(error: BaseException) -> Iterator[Any]:
    """Everything that hangs on an exception: its texts, its causes, what they hold; frames and classes left out."""
    seen: dict[int, Any] = {}
    found: list[Any] = [error]
    while found:
        each = found.pop()
        skipped = isinstance(each, type) or type(each).__name__ in (
            "frame",
            "traceback",
            "module",
            "function",
            "method",
        )
        if id(each) in seen or skipped:
            continue
        seen[id(each)] = each
        yield each
        found += gc.get_referents(each)
        if isinstance(each, BaseException):
            found += [each.__cause__, each.__context__]


@pytest.mark.feature("A8")
@pytest.mark.parametrize(
    "fault", ["401", "403", "429", "500", "502", "504", "422", "reset", "truncated", "page", "hang"]
)
def test_the_keys_are_in_no_exception_and_in_nothing_that_hangs_on_one(stand: Stand, fault: str) -> None:
    stand.server.faults.standing = {"": fault}
    with pytest.raises(AutoTraderError) as failure:
        source_at(stand.server.address, budget=0.3 if fault == "hang" else 5.0).bars(SPY, BarSize.D1, NOW, 5)
    shown = "".join(traceback.format_exception(failure.value)) + repr(failure.value)
    texts = [each for each in reachable(failure.value) if isinstance(each, str | bytes)]
    for secret in (KEY_ID, SECRET):
        assert secret not in shown
        assert not any(secret in (each if isinstance(each, str) else each.decode("latin-1")) for each in texts)


def test_keys_do_not_show_themselves_and_an_error_of_a_symbol_survives_the_worker(stand: Stand) -> None:
    assert SECRET not in repr(AlpacaKeys(KEY_ID, SECRET)) and KEY_ID not in f"{AlpacaKeys(KEY_ID, SECRET)}"
    with pytest.raises(UnknownSymbol) as unknown:
        stand.alpaca.bars(instrument_for("NOSUCH"), BarSize.D1, NOW, 5)
    assert str(pickle.loads(pickle.dumps(unknown.value))) == str(unknown.value)


def test_a_look_says_whether_the_keys_are_accepted(stand: Stand) -> None:
    stand.alpaca.look(2.0)
    with pytest.raises(AccessRefused, match="keys"):
        source_at(stand.server.address, keys=AlpacaKeys(KEY_ID, "another")).look(2.0)
    stand.server.faults.standing = {"": "502"}
    with pytest.raises(Transient):
        stand.alpaca.look(2.0)


def action(ex_date: str, **other: Any) -> dict[str, Any]:
    return {"symbol": "SPY", "ex_date": ex_date, "process_date": ex_date, "id": "1", "cusip": "2"} | other


def test_dividends_and_splits_take_effect_at_the_open_of_their_ex_date(stand: Stand) -> None:
    stand.server.actions = {
        "cash_dividends": [
            action("2024-09-20", rate=1.745531, process_date="2024-10-31", special=False, foreign=False),
            action("2024-10-01", rate=5.0, currency="EUR", special=False, foreign=True),
            action("2023-09-20", rate=1.58, special=False, foreign=False),
        ],
        "forward_splits": [action("2024-10-15", new_rate=4, old_rate=1)],
        "reverse_splits": [action("2024-11-04", new_rate=1, old_rate=50)],
    }
    told = stand.alpaca.actions("SPY", datetime(2024, 1, 1, tzinfo=UTC), NOW)
    opens = [datetime(2024, 9, 20, 13, 30, tzinfo=UTC), datetime(2024, 10, 15, 13, 30, tzinfo=UTC)]
    assert list(told) == [
        CorporateAction("SPY", opens[0], dividend=Decimal("1.745531")),
        CorporateAction("SPY", opens[1], ratio=Decimal(4)),
        CorporateAction("SPY", datetime(2024, 11, 4, 14, 30, tzinfo=UTC), ratio=Decimal("0.02")),
    ]
    assert stand.alpaca.actions("BTC-USD", NOW - timedelta(days=900), NOW) == ()


@pytest.mark.parametrize("damage", [{"new_rate": 0}, {"new_rate": "four"}, {"ex_date": "soon"}, {"old_rate": 0}])
def test_a_corporate_action_that_cannot_be_is_refused(stand: Stand, damage: dict[str, Any]) -> None:
    stand.server.actions = {"forward_splits": [action("2024-10-15", new_rate=4, old_rate=1) | damage]}
    with pytest.raises(MalformedAnswer, match="corporate action of SPY"):
        stand.alpaca.actions("SPY", datetime(2024, 1, 1, tzinfo=UTC), NOW)


def test_a_chance_of_faults_leaves_every_answer_either_whole_or_an_error(stand: Stand) -> None:
    chance = np.random.default_rng(20241127)
    kinds = ("500", "502", "reset", "truncated", "page", "cut json", "422", "null")
    stand.server.faults.choose = lambda _: str(chance.choice(kinds)) if chance.random() < 0.4 else None
    whole = failed = 0
    for _ in range(40):
        stand.restraint.succeeded()
        try:
            bars = stand.alpaca.bars(SPY, BarSize.D1, NOW, 20)
        except (Transient, DataFault):
            failed += 1
        else:
            whole += 1
            assert same(bars, TRUTH.bars(SPY, BarSize.D1, NOW, 20))
    assert whole > 12 and failed > 2
