"""The last price at Alpaca: streamed by the real alpaca-py from a loopback server, and asked for where that fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgpack
import numpy as np
import pytest

from core.adapters import alpaca_quotes
from core.adapters.alpaca import Alpaca, Places
from core.adapters.alpaca_quotes import AlpacaQuotes, middle
from core.adapters.alpaca_socket import Patience
from core.adapters.alpaca_stream import MOST_SYMBOLS, QuoteStream
from core.adapters.alpaca_transport import AlpacaKeys
from core.domain.bars import Quote
from core.domain.instruments import instrument_for
from core.errors import AccessRefused, MalformedAnswer, Transient, Unreachable
from tests.alpaca_stand import BTC, CALENDAR, KEYS, KNOWN, NOW, SPY, service_at
from tests.fakes_bars import StillClock
from tests.servers.alpaca_data_server import AlpacaDataServer
from tests.servers.alpaca_http import KEY_ID, SECRET
from tests.servers.alpaca_stream_server import AlpacaStreamServer, eventually

QQQ = instrument_for("QQQ")
QUICK = Patience(0.5, first_retry=0.02, longest_retry=0.05, after_refusal=0.1, while_elsewhere=0.1, silence=0.3)
PATIENT = Patience(5.0, first_retry=0.02, longest_retry=0.05, after_refusal=60.0, while_elsewhere=60.0, silence=60.0)


class MovingClock(StillClock):
    """Its monotonic time runs as the real one does, and further where a test moves it."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@dataclass
class Stand:
    rest: AlpacaDataServer
    live: AlpacaStreamServer
    clock: MovingClock
    quotes: AlpacaQuotes
    stream: QuoteStream

    def streams(self, instrument: Any, bid: Any, ask: Any, at: datetime = NOW) -> None:
        """Sends a quote once somebody listens, and waits until it is heard."""
        kind = "coins" if instrument.is_crypto else "stocks"
        name = instrument.symbol.replace("-", "/")
        self.quotes.last([instrument], NOW)
        eventually(lambda: name in self.live.listening(kind))

        def is_heard() -> bool:
            # Again and again: a connection that is just going may swallow it.
            self.live.quote(kind, name, bid, ask, at)
            heard = self.stream.heard(kind, name)  # type: ignore[arg-type]
            return heard is not None and heard.bid == bid

        eventually(is_heard)


def open_stand(
    rest: AlpacaDataServer, live: AlpacaStreamServer, patience: Patience = PATIENT, keys: AlpacaKeys = KEYS
) -> Stand:
    clock = MovingClock(NOW)
    service, _ = service_at(rest.address, clock)
    stream = QuoteStream(keys, CALENDAR, clock, addresses=live.addresses(), patience=patience, look_around=0.05)
    return Stand(rest, live, clock, AlpacaQuotes(service, CALENDAR, clock, stream, budget=5.0), stream)


@pytest.fixture
def stand() -> Iterator[Stand]:
    with AlpacaDataServer(KNOWN, lambda: NOW) as rest, AlpacaStreamServer() as live:
        stand = open_stand(rest, live)
        yield stand
        stand.quotes.close()


@pytest.fixture
def quick() -> Iterator[Stand]:
    with AlpacaDataServer(KNOWN, lambda: NOW) as rest, AlpacaStreamServer() as live:
        stand = open_stand(rest, live, QUICK)
        yield stand
        stand.quotes.close()


def polling(rest: AlpacaDataServer, now: datetime = NOW) -> AlpacaQuotes:
    clock = StillClock(now)
    return AlpacaQuotes(service_at(rest.address, clock)[0], CALENDAR, clock, budget=5.0)


@pytest.fixture
def rest() -> Iterator[AlpacaDataServer]:
    with AlpacaDataServer(KNOWN, lambda: NOW) as server:
        yield server


def test_all_symbols_of_a_class_cost_one_request_and_the_unknown_are_left_out(rest: AlpacaDataServer) -> None:
    at = NOW - timedelta(seconds=40)
    rest.quotes = {"SPY": (601.0, 601.5, at), "QQQ": (500.0, 500.5, at), "BTC-USD": (90_000.0, 90_100.0, at)}
    quotes = polling(rest).last([SPY, QQQ, BTC, instrument_for("NOSUCH-USD"), instrument_for("^VIX")], NOW)
    traded = at.replace(microsecond=0)
    assert {symbol: quote.price for symbol, quote in quotes.items()} == {
        "SPY": 601.25,
        "QQQ": 500.25,
        "BTC-USD": 90_050.0,
    }
    assert all(abs(quote.at - traded) < timedelta(seconds=1) for quote in quotes.values())
    # The unknown coin has no quote, so its last trade is asked for, too.
    assert [rest.count(part) for part in ("/stocks/", "latest/quotes", "latest/trades")] == [1, 1, 1]


@pytest.mark.parametrize(
    ("bid", "ask"),
    [(601.5, 601.5), (602.0, 601.5), (0, 601.5), (601.0, 0), (-1.0, 1.0), (590.0, 612.0), (float("nan"), 601.0)],
)
def test_a_quote_that_is_no_price_gives_way_to_the_last_trade(rest: AlpacaDataServer, bid: float, ask: float) -> None:
    rest.quotes["SPY"] = (bid, ask, NOW)
    rest.trades["SPY"] = (600.75, NOW - timedelta(seconds=90))
    quote = polling(rest).last([SPY], NOW)["SPY"]
    assert (quote.price, round((NOW - quote.at).total_seconds())) == (600.75, 90)


@pytest.mark.parametrize("pair", [("601", 602.0), (True, 2.0), (None, 601.0), ([], {})])
def test_what_is_no_number_is_no_price(pair: tuple[Any, Any]) -> None:
    assert middle(*pair) is None


def test_a_stock_has_no_quote_outside_its_session_and_a_coin_always_has_one(rest: AlpacaDataServer) -> None:
    for outside in (NOW.replace(hour=12), NOW.replace(hour=23), datetime(2024, 11, 28, 16, tzinfo=UTC)):
        rest.quotes = {"SPY": (601.0, 601.5, outside), "BTC-USD": (90_000.0, 90_100.0, outside)}
        assert set(polling(rest, outside).last([SPY, BTC], outside)) == {"BTC-USD"}
    assert rest.count("/stocks/") == 0
    rest.quotes["SPY"] = (601.0, 601.5, NOW.replace(hour=13))
    rest.trades["SPY"] = (601.0, NOW.replace(hour=13))
    assert polling(rest).last([SPY], NOW) == {}


def test_a_price_from_the_future_is_one_of_now(rest: AlpacaDataServer) -> None:
    rest.quotes["BTC-USD"] = (90_000.0, 90_100.0, NOW + timedelta(seconds=5))
    assert polling(rest).last([BTC], NOW)["BTC-USD"] == Quote("BTC-USD", 90_050.0, NOW)


def test_one_name_that_alpaca_refuses_does_not_cost_the_others_their_price(rest: AlpacaDataServer) -> None:
    odd = instrument_for("ODD")
    rest.quotes["SPY"] = (601.0, 601.5, NOW)
    real = rest._symbols

    def refusing(call: Any, shape: Any) -> list[str]:
        from tests.servers.alpaca_http import Refusal

        if "ODD" in call.query["symbols"]:
            raise Refusal(400, "invalid symbol: ODD")
        return real(call, shape)

    rest._symbols = refusing  # type: ignore[method-assign]
    assert set(polling(rest).last([odd, SPY], NOW)) == {"SPY"}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("403", AccessRefused),
        ("502", Unreachable),
        ("reset", Unreachable),
        ("page", MalformedAnswer),
        ("list", MalformedAnswer),
    ],
)
def test_trouble_is_told_where_nothing_was_had_and_kept_quiet_where_something_was(
    rest: AlpacaDataServer, fault: str, kind: type[Transient]
) -> None:
    rest.faults.standing = {"/crypto/": fault}
    with pytest.raises(kind):
        polling(rest).last([BTC], NOW)
    rest.quotes["SPY"] = (601.0, 601.5, NOW)
    assert set(polling(rest).last([BTC, SPY], NOW)) == {"SPY"}


@pytest.mark.feature("S2")
def test_a_fresh_streamed_quote_is_preferred_and_costs_no_request(stand: Stand) -> None:
    stand.streams(SPY, 601.0, 601.5)
    stand.streams(BTC, 90_000.0, 90_100.0)
    asked = len(stand.rest.calls)
    quotes = stand.quotes.last([SPY, BTC], NOW)
    assert quotes == {"SPY": Quote("SPY", 601.25, NOW), "BTC-USD": Quote("BTC-USD", 90_050.0, NOW)}
    assert len(stand.rest.calls) == asked


def test_a_streamed_quote_that_grew_old_is_asked_for(stand: Stand) -> None:
    stand.streams(SPY, 601.0, 601.5)
    stand.rest.quotes["SPY"] = (580.0, 580.5, NOW)
    stand.clock.ahead = alpaca_quotes.FRESH_SECONDS - 1
    assert stand.quotes.last([SPY], NOW)["SPY"].price == 601.25
    stand.clock.ahead = alpaca_quotes.FRESH_SECONDS + 1
    assert stand.quotes.last([SPY], NOW)["SPY"].price == 580.25


def test_a_streamed_quote_of_an_older_market_is_asked_for(stand: Stand) -> None:
    stand.rest.quotes["SPY"] = (580.0, 580.5, NOW)
    stand.streams(SPY, 601.0, 601.5, NOW - timedelta(minutes=2))
    assert stand.quotes.last([SPY], NOW)["SPY"].price == 580.25


@pytest.mark.parametrize(("bid", "ask"), [(602.0, 601.5), (0, 601.5), (590.0, 612.0), ("601", "602"), (None, 1.0)])
def test_a_streamed_quote_that_is_no_price_is_asked_for(stand: Stand, bid: Any, ask: Any) -> None:
    stand.rest.quotes["SPY"] = (580.0, 580.5, NOW)
    stand.streams(SPY, bid, ask)
    assert stand.quotes.last([SPY], NOW)["SPY"].price == 580.25


def test_a_quote_that_comes_again_or_late_changes_nothing(stand: Stand) -> None:
    stand.streams(SPY, 601.0, 601.5)
    for bid, at in ((601.0, NOW), (590.0, NOW - timedelta(seconds=1))):
        stand.live.quote("stocks", "SPY", bid, bid + 0.5, at)
    stand.streams(QQQ, 500.0, 500.5)
    assert stand.quotes.last([SPY], NOW)["SPY"].price == 601.25


def test_frames_without_sense_are_passed_over(stand: Stand) -> None:
    stand.streams(SPY, 601.0, 601.5)
    nonsense = [b"\xc1", msgpack.packb([{"T": "q"}]), msgpack.packb({"T": "x"}), msgpack.packb([7]), b""]
    for frame in (*nonsense, msgpack.packb([{"T": "q", "S": "SPY", "bp": 1.0, "ap": 1.001}])):
        stand.live.say("stocks", frame)
    stand.streams(SPY, 602.0, 602.5, NOW + timedelta(milliseconds=1))
    assert stand.quotes.last([SPY], NOW)["SPY"].price == 602.25
    assert stand.live.connects["stocks"] == 1


def test_a_symbol_asked_about_later_is_listened_to_and_a_forgotten_one_no_longer(stand: Stand) -> None:
    stand.streams(SPY, 601.0, 601.5)
    stand.clock.ahead = 1_000.0
    stand.streams(QQQ, 500.0, 500.5)
    assert stand.live.listening("stocks") == {"SPY", "QQQ"}
    stand.clock.ahead = 2_000.0
    stand.quotes.last([QQQ], NOW)
    eventually(lambda: stand.live.listening("stocks") == {"QQQ"})
    assert stand.stream.heard("stocks", "SPY") is None
    assert stand.live.connects["stocks"] == 1


def test_no_more_symbols_are_listened_to_than_alpaca_allows(stand: Stand) -> None:
    letters = "ABCDEFGHIJ"
    many = [instrument_for(f"{one}{other}X") for one in letters for other in letters[:5]]
    stand.quotes.last(many, NOW)
    eventually(lambda: len(stand.live.listening("stocks")) == MOST_SYMBOLS)
    stand.quotes.last([SPY], NOW)
    eventually(lambda: "SPY" in stand.live.listening("stocks"))
    assert len(stand.live.listening("stocks")) <= MOST_SYMBOLS


def test_what_is_held_is_listened_to_whatever_else_is_asked(stand: Stand) -> None:
    many = [instrument_for(f"{one}{other}X") for one in "ABCDEFGHIJ" for other in "ABCDE"]
    stand.quotes.prefer({"SPY"})
    eventually(lambda: stand.live.listening("stocks") == {"SPY"})
    stand.quotes.last(many, NOW)
    eventually(lambda: len(stand.live.listening("stocks")) == MOST_SYMBOLS)
    assert "SPY" in stand.live.listening("stocks")
    stand.quotes.prefer(set())
    stand.quotes.last(many, NOW)
    eventually(lambda: "SPY" not in stand.live.listening("stocks"))


def test_nobody_listens_before_something_is_asked(stand: Stand) -> None:
    stand.quotes.last([BTC], NOW)
    eventually(lambda: stand.live.connects["coins"] == 1)
    assert stand.live.connects["stocks"] == 0


def test_a_connection_that_breaks_is_made_anew_with_its_subscriptions(quick: Stand) -> None:
    quick.streams(SPY, 601.0, 601.5)
    quick.live.drop()
    eventually(lambda: quick.live.connects["stocks"] >= 2 and quick.live.listening("stocks") == {"SPY"})
    quick.streams(SPY, 603.0, 603.5, NOW + timedelta(milliseconds=1))
    assert quick.quotes.last([SPY], NOW)["SPY"].price == 603.25


def test_a_stream_that_is_silent_in_an_open_market_is_connected_anew(quick: Stand) -> None:
    quick.quotes.last([BTC], NOW)
    eventually(lambda: quick.live.connects["coins"] >= 3)


def test_a_stock_stream_may_be_silent_while_the_exchange_is_closed(quick: Stand) -> None:
    quick.clock.time = NOW.replace(hour=23)
    quick.quotes.last([SPY, BTC], quick.clock.time)
    eventually(lambda: quick.live.connects["coins"] >= 3)
    assert quick.live.connects["stocks"] == 1


def test_a_server_that_says_nothing_is_left_and_tried_again(quick: Stand) -> None:
    quick.live.deaf = True
    quick.rest.quotes["BTC-USD"] = (90_000.0, 90_100.0, NOW)
    assert quick.quotes.last([BTC], NOW)["BTC-USD"].price == 90_050.0
    eventually(lambda: quick.live.connects["coins"] >= 2)
    assert quick.stream.trouble() == "does not answer"
    quick.live.deaf = False
    quick.streams(BTC, 91_000.0, 91_100.0)
    assert quick.stream.trouble() == ""


@pytest.mark.parametrize(
    ("code", "words"),
    [(402, "auth failed"), (406, "connection limit exceeded"), (409, "insufficient subscription")],
)
def test_a_stream_that_is_refused_is_not_knocked_at_again_soon(stand: Stand, code: int, words: str) -> None:
    stand.live.refuses = code
    stand.rest.quotes["BTC-USD"] = (90_000.0, 90_100.0, NOW)
    stand.quotes.last([BTC], NOW)
    eventually(lambda: stand.stream.trouble() == words)
    assert stand.quotes.last([BTC], NOW)["BTC-USD"].price == 90_050.0
    assert stand.live.connects["coins"] == 1


def test_a_second_process_with_the_same_keys_gets_its_turn_when_the_first_one_leaves(quick: Stand) -> None:
    quick.streams(SPY, 601.0, 601.5)
    other = open_stand(quick.rest, quick.live, QUICK)
    other.quotes.last([SPY], NOW)
    eventually(lambda: other.stream.trouble() == "connection limit exceeded")
    quick.quotes.close()
    other.streams(SPY, 602.0, 602.5)
    assert other.quotes.last([SPY], NOW)["SPY"].price == 602.25
    other.quotes.close()


def test_an_account_that_may_listen_to_less_says_so_and_keeps_what_it_has(stand: Stand) -> None:
    stand.live.limit = 1
    stand.streams(SPY, 601.0, 601.5)
    stand.quotes.last([SPY, QQQ], NOW)
    eventually(lambda: stand.stream.trouble() == "symbol limit exceeded")
    assert stand.live.listening("stocks") == {"SPY"}
    assert stand.quotes.last([SPY], NOW)["SPY"].price == 601.25


def test_an_error_of_the_stream_is_told_and_survived(stand: Stand) -> None:
    stand.streams(SPY, 601.0, 601.5)
    stand.live.error("stocks", 407)
    eventually(lambda: stand.stream.trouble() == "slow client")
    stand.streams(SPY, 602.0, 602.5, NOW + timedelta(milliseconds=1))
    assert stand.quotes.last([SPY], NOW)["SPY"].price == 602.25


def test_closing_ends_the_thread_at_once_and_nothing_starts_again(stand: Stand) -> None:
    stand.streams(SPY, 601.0, 601.5)
    stand.quotes.close()
    assert not any(thread.name == "alpaca quotes" for thread in threading.enumerate())
    eventually(lambda: stand.live.listening("stocks") == set())
    stand.rest.quotes["SPY"] = (580.0, 580.5, NOW)
    assert stand.quotes.last([SPY], NOW)["SPY"].price == 580.25
    assert not any(thread.name == "alpaca quotes" for thread in threading.enumerate())


@pytest.mark.feature("A8")
def test_the_keys_are_in_no_line_of_the_log_however_much_is_logged(
    quick: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    quick.streams(SPY, 601.0, 601.5)
    quick.live.keys = {}
    quick.live.drop()
    eventually(lambda: quick.stream.trouble() == "auth failed")
    ours = [record for record in caplog.records if record.name != "websockets.server"]
    written = "".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in ours)
    for secret in (SECRET, KEY_ID, SECRET[-8:], KEY_ID[:8]):
        for form in (secret, secret.encode().hex(), secret.encode().hex(" ")):
            assert form not in written
    assert ours


def test_a_flood_of_quotes_is_kept_as_one_word_a_symbol_and_left_behind_at_once(stand: Stand) -> None:
    stand.streams(SPY, 601.0, 601.5)
    for number in range(3_000):
        stand.live.quote("stocks", "SPY", 600.0 + number % 7, 600.5 + number % 7, NOW + timedelta(microseconds=number))
    assert len(stand.stream._feeds["stocks"].heard) == 1
    stand.quotes.close()
    assert not any(thread.name == "alpaca quotes" for thread in threading.enumerate())


@pytest.mark.feature("S14")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_happens_to_the_stream_a_price_is_one_that_alpaca_told(quick: Stand, seed: int) -> None:
    chance = np.random.default_rng(seed)
    told: set[float] = set()
    for step in range(60):
        bid = 90_000.0 + step
        quick.rest.quotes["BTC-USD"] = (bid, bid + 1.0, NOW)
        told |= {bid + 0.5, bid + 500.5}
        match chance.integers(8):
            case 0:
                quick.live.drop()
            case 1:
                quick.live.say("coins", bytes(chance.bytes(20)))
            case 2:
                quick.live.deaf = not quick.live.deaf
            case 3:
                quick.live.error("coins", int(chance.choice([405, 407, 500])))
            case 4:
                quick.live.keys = {} if quick.live.keys else {KEY_ID: SECRET}
            case 5:
                quick.live.quote("coins", "BTC/USD", bid + 2.0, bid, NOW)
            case _:
                quick.live.quote("coins", "BTC/USD", bid + 500.0, bid + 501.0, NOW + timedelta(microseconds=step))
        quote = quick.quotes.last([BTC], NOW + timedelta(seconds=1))["BTC-USD"]
        assert quote.price in told
        assert quote.at <= NOW + timedelta(seconds=1)
    quick.live.deaf, quick.live.keys = False, {KEY_ID: SECRET}
    quick.streams(BTC, 95_000.0, 95_001.0, NOW + timedelta(milliseconds=1))
    assert quick.quotes.last([BTC], NOW + timedelta(seconds=1))["BTC-USD"].price == 95_000.5


@pytest.mark.feature("S14")
def test_keys_that_are_refused_are_known_until_they_are_accepted(quick: Stand) -> None:
    clock = quick.clock
    places = Places(quick.rest.address, quick.live.addresses())
    chance = np.random.default_rng(1)
    alpaca = Alpaca(KEYS, CALENDAR, clock, lambda _: None, chance, places=places, patience=QUICK)
    quick.rest.quotes["BTC-USD"] = (90_000.0, 90_100.0, NOW)
    assert alpaca.refusal() == ""
    quick.rest.keys = {}
    with pytest.raises(AccessRefused):
        alpaca.quotes.last([BTC], NOW)
    assert alpaca.refusal().startswith("does not accept the keys (HTTP 403)")
    quick.rest.keys = {KEY_ID: SECRET}
    clock.time += timedelta(hours=1)
    assert alpaca.quotes.last([BTC], clock.time)
    assert alpaca.refusal() == ""
    quick.live.keys = {}
    quick.live.drop()
    eventually(lambda: alpaca.refusal() == "does not accept the keys")
    quick.live.keys = {KEY_ID: SECRET}
    eventually(lambda: alpaca.refusal() == "")
    alpaca.close()
