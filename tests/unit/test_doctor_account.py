"""What the doctor says of the account at Alpaca: each thing that can be wrong with it has its words and its way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from bot.bootstrap import account_at
from bot.doctor_account import examine_account
from core.adapters.alpaca import Alpaca, Places
from core.adapters.alpaca_transport import AlpacaKeys
from core.domain.venue import VenueAccount
from core.settings import Settings, load_settings
from tests.alpaca_stand import CALENDAR, NOW
from tests.fakes_bars import StillClock
from tests.servers.alpaca_http import KEY_ID, SECRET
from tests.servers.alpaca_trading_server import LIVE_KEY_ID, LIVE_SECRET, AlpacaTradingServer

pytestmark = [pytest.mark.feature("U4"), pytest.mark.feature("S10")]
NUMBER = "123456789"
PAPER = {"ALPACA_KEY_ID": KEY_ID, "ALPACA_SECRET_KEY": SECRET}
LIVE = {
    "ALPACA_KEY_ID": LIVE_KEY_ID,
    "ALPACA_SECRET_KEY": LIVE_SECRET,
    "ALPACA_PAPER": "false",
    "ALLOW_REAL_MONEY": NUMBER,
}
Say = Callable[..., str]


@pytest.fixture
def paper() -> Iterator[AlpacaTradingServer]:
    with AlpacaTradingServer(lambda: NOW) as server:
        yield server


@pytest.fixture
def live() -> Iterator[AlpacaTradingServer]:
    with AlpacaTradingServer(lambda: NOW, cash=Decimal(12_345), number=NUMBER) as server:
        server.keys, server.other_keys = {LIVE_KEY_ID: LIVE_SECRET}, {KEY_ID: SECRET}
        yield server


@pytest.fixture
def said(paper: AlpacaTradingServer, live: AlpacaTradingServer) -> Say:
    """What the doctor prints of the account with these settings."""

    def ask(settings: Settings) -> VenueAccount:
        here, there = (paper, live) if settings.alpaca_paper else (live, paper)
        assert settings.alpaca_keys is not None
        clock = StillClock(NOW)
        alpaca = Alpaca(
            AlpacaKeys(*settings.alpaca_keys),
            CALENDAR,
            clock,
            lambda _: None,
            np.random.default_rng(1),
            places=Places(trading=here.address, other_trading=there.address),
            spacing=0.0,
        )
        account = account_at(alpaca, settings)
        assert account is not None
        return account[0].state()

    def say(**changes: str) -> str:
        environ = {**(LIVE if changes.get("ALPACA_PAPER") == "false" else PAPER), "SYMBOLS": "SPY,BTC-USD", **changes}
        return "\n".join(str(each) for each in examine_account(ask, load_settings(environ, None)))

    return say


def test_a_paper_account_that_takes_orders_is_named_with_its_worth(said: Say) -> None:
    assert said() == (
        "ok   account at Alpaca: paper account PA3TESTS0001, worth 100,000.00 USD, 100,000.00 USD in cash, "
        "0 positions; it takes orders"
    )


def test_a_live_account_is_named_as_such(said: Say) -> None:
    assert said(ALPACA_PAPER="false").startswith("ok   account at Alpaca: LIVE account 123456789, worth 12,345.00 USD")


def test_a_wrong_key_is_to_be_made_anew(said: Say) -> None:
    words = said(ALPACA_SECRET_KEY="aNoThErSeCrEtThAtNoBoDyKnOwS123456789012")
    assert words.startswith("fix  account at Alpaca: Alpaca does not accept the keys (HTTP 403)")
    assert "-> make new keys at Alpaca" in words


def test_live_keys_at_the_paper_address_are_known_for_what_they_are(said: Say, live: AlpacaTradingServer) -> None:
    words = said(ALPACA_KEY_ID=LIVE_KEY_ID, ALPACA_SECRET_KEY=LIVE_SECRET)
    assert "they are those of a live account, not of a paper one" in words
    assert "for real money set ALPACA_PAPER=false and ALLOW_REAL_MONEY" in words
    assert len(live.calls) == 1


def test_paper_keys_at_the_live_address_are_known_for_what_they_are(said: Say, paper: AlpacaTradingServer) -> None:
    words = said(ALPACA_PAPER="false", ALPACA_KEY_ID=KEY_ID, ALPACA_SECRET_KEY=SECRET)
    assert "they are those of a paper account, not of a live one" in words
    assert "-> set ALPACA_PAPER=true" in words
    assert len(paper.calls) == 1


def test_keys_that_fit_nowhere_are_told_apart_by_how_they_begin(said: Say) -> None:
    words = said(ALPACA_KEY_ID="AKUNKNOWNKEYID123456")
    assert "ALPACA_KEY_ID begins like one of a live account, and ALPACA_PAPER=true asks the paper one" in words


def test_a_blocked_account_takes_no_orders(said: Say, paper: AlpacaTradingServer) -> None:
    paper.venue.account.trading_blocked = True
    words = said()
    assert "it takes orders" not in words
    assert "fix  account at Alpaca: Alpaca has blocked trading in the account" in words
    assert "look for its message there, or ask its support" in words


def test_another_live_account_than_the_allowed_one_is_said_with_both_numbers(said: Say) -> None:
    words = said(ALPACA_PAPER="false", ALLOW_REAL_MONEY="987654321")
    assert "LIVE account 123456789" in words
    assert "ALLOW_REAL_MONEY names account 987654321, so nothing is sent" in words
    assert "-> set ALLOW_REAL_MONEY=123456789 if you mean this account" in words


@pytest.mark.parametrize(("skew", "side"), [(90, "behind"), (-90, "ahead of")])
def test_clocks_that_differ_are_told_with_how_much(said: Say, paper: AlpacaTradingServer, skew: int, side: str) -> None:
    paper.skew = timedelta(seconds=skew)
    assert f"fix  clock: this machine is 90 s {side} Alpaca" in said()
    paper.skew = timedelta(seconds=5)
    assert "clock" not in said()


def test_an_account_without_coins_is_told_where_coins_are_to_be_traded(said: Say, paper: AlpacaTradingServer) -> None:
    paper.venue.account.crypto_status = "INACTIVE"
    words = said()
    assert "fix  account at Alpaca: it may not trade coins" in words
    assert "take BTC-USD out of SYMBOLS" in words
    assert "coins" not in said(SYMBOLS="SPY")


@pytest.mark.parametrize(
    ("fault", "words", "todo"),
    [
        ("502", "Alpaca is out of order (HTTP 502)", "check this machine's network"),
        ("429", "Alpaca asks us to slow down", "wait a minute"),
        ("page", "Alpaca gave an answer that cannot be used", "install the newest version"),
    ],
)
def test_each_kind_of_silence_has_its_advice(
    said: Say, paper: AlpacaTradingServer, fault: str, words: str, todo: str
) -> None:
    paper.faults.standing[""] = fault
    answer = said()
    assert words in answer
    assert todo in answer
