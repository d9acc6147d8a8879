"""Our broker adapter on the real alpaca-py, in front of a server that plays Alpaca's trading service."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np

from core.adapters.alpaca_broker import ActionsBetween, AlpacaBroker, no_actions
from core.adapters.alpaca_trading import AlpacaTrading
from core.adapters.alpaca_transport import AlpacaKeys, AlpacaTransport
from core.adapters.pacing import Pacer, RealClock, Restraint
from core.clock import SystemClock
from core.domain.accounts import Account, AccountKind
from tests.alpaca_stand import KEYS
from tests.fakes_bars import StillClock
from tests.servers.alpaca_trading_server import AlpacaTradingServer


class Watch:
    """Market time that somebody else moves, and real time for time-outs."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.monotonic = SystemClock().monotonic


def trading_at(
    address: str,
    clock: RealClock,
    sleep: Callable[[float], None] = lambda _: None,
    keys: AlpacaKeys = KEYS,
    *,
    is_paper: bool = True,
) -> AlpacaTrading:
    restraint = Restraint(clock.now, np.random.default_rng(1))
    transport = AlpacaTransport(clock, sleep, Pacer(0.0, clock.monotonic, sleep), restraint, budget=5.0)
    return AlpacaTrading(keys, transport, restraint, clock, is_paper=is_paper, address=address)


def broker_at(
    address: str,
    account: Account,
    clock: RealClock,
    sleep: Callable[[float], None] = lambda _: None,
    actions: ActionsBetween = no_actions,
) -> AlpacaBroker:
    is_paper = account.kind is AccountKind.ALPACA_PAPER
    return AlpacaBroker(account, trading_at(address, clock, sleep, is_paper=is_paper), clock, actions)


def begun_anew(server: AlpacaTradingServer, clock: StillClock, at: datetime) -> AlpacaTradingServer:
    """It is `at`, SPY stands at 600 and BTC/USD at 60,000, and nothing happened yet."""
    clock.time = at
    server.faults.clear()
    server.reset_account()
    server.venue.habits = type(server.venue.habits)()
    server.calls.clear()
    server.set_price("SPY", 600)
    server.set_price("BTC/USD", 60_000)
    return server
