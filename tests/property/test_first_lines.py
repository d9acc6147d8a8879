"""What the lock screen shows of any event: the asset, what happened to it, what it earned, and whose money it was."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import numbers
from bot.markup import units, visible
from bot.render import render
from core.domain.events import (
    EVENT_TYPES,
    BarSourcesChanged,
    BarsRetold,
    BarsStale,
    BrakeReleased,
    BrakeSet,
    BrokerFellBack,
    BrokerReturned,
    BrokerTroubled,
    CashBooked,
    DailyReport,
    EngineStarted,
    EntryUndone,
    ErrorRaised,
    ExitQueued,
    ExitReminder,
    GuardMoved,
    HealthChanged,
    InstructionChanged,
    InstructionIssued,
    InstructionSettled,
    LedgerRestored,
    LiveStatus,
    ModeChanged,
    ModelRestored,
    ModelTrained,
    NearStop,
    OrderFilled,
    OrderRefused,
    OrderUncertain,
    OwnerReturned,
    OwnerSilent,
    PositionUnguarded,
    ProfileContradicted,
    ProtectionFailed,
    QuestionAsked,
    QuestionSettled,
    RealMoneyAsked,
    RealMoneyChanged,
    RealMoneyHeldBack,
    SettingsDiffer,
    SignalRaised,
    SkillChanged,
    StrangerSpoke,
    UnitsAdjusted,
    Welcome,
)
from core.domain.orders import Side
from core.domain.records import QuestionKind
from tests.bot_events import strategy_of

ZONE = ZoneInfo("America/New_York")
WORD = st.sampled_from(["skipped", "expired", "executed", "approved", "placed", "split", "dividend", "adoption"])
ACTIONS: dict[type, str] = {
    SignalRaised: "buy signal",
    InstructionIssued: "BUY|SELL",
    InstructionChanged: "BUY|SELL",
    InstructionSettled: "(BUY|SELL) .*(skipped|expired|executed|approved|placed|split|dividend|adoption)",
    OrderFilled: "bought|stop-loss|take-profit|closed|reduced",
    OrderRefused: "(BUY|SELL) .*refused",
    OrderUncertain: "(BUY|SELL) .*answer unknown",
    PositionUnguarded: "UNGUARDED",
    QuestionAsked: "stop|differ|installation|broker show|another account|own sale",
    QuestionSettled: "skipped|expired|executed|approved|placed|split|dividend|adoption",
    ExitQueued: "sale waits for the open",
    ExitReminder: "SELL .*still waits",
    GuardMoved: "stop|target|levels",
    ProtectionFailed: "stop not placed",
    UnitsAdjusted: "skipped|expired|executed|approved|placed|split|dividend|adoption",
    EntryUndone: "undone",
    BrakeSet: "Brake: ",
    BrakeReleased: "Brake off: ",
    CashBooked: r"\$[\d,]+\.\d\d",
    DailyReport: "Report",
    LedgerRestored: "restored",
    Welcome: "AutoTrader",
    EngineStarted: "running",
    ModelTrained: "[Mm]odel",
    ModelRestored: "Back to model",
    SkillChanged: "trusted again|half the size|observed only",
    HealthChanged: ": ",
    ErrorRaised: "Error",
    StrangerSpoke: "wrote to me",
    ModeChanged: "Paused|Mode|mode",
    LiveStatus: "status",
    SettingsDiffer: "settings stay",
    ProfileContradicted: "[.]env says otherwise",
    OwnerSilent: "Are you there",
    OwnerReturned: r"Welcome back: .*\$",
    BarSourcesChanged: "bars|Where bars come from",
    BarsRetold: "prices in new units",
    NearStop: "near its stop|away from its stop",
    BarsStale: "[Nn]ew bars",
    BrokerTroubled: "🟠 .+",
    BrokerFellBack: "Mode (auto|confirm|manual|observe): ",
    BrokerReturned: "is back",
    RealMoneyAsked: r"Real money waits for your word: .*\$",
    RealMoneyChanged: "Real money: account",
    RealMoneyHeldBack: "nothing is sent",
}


def first_line(event: Any) -> str:
    return visible(render(event, ZONE).text).partition("\n")[0]


def sensible(event: Any, symbol: str, word: str) -> Any:
    """The event with words where the engine writes words, so that they can be looked for."""
    if isinstance(event, InstructionChanged):
        return replace(event, card=sensible(event.card, symbol, word))
    given_words = {"symbol": symbol, "kind": word, "outcome": word}
    known = {name: value for name, value in given_words.items() if isinstance(getattr(event, name, None), str)}
    if isinstance(event, ProtectionFailed):
        known["what"] = "stop not placed"
    if isinstance(event, QuestionAsked):
        known["kind"] = QuestionKind.PLACE_STOP.value
    known = {
        name: value for name, value in known.items() if name != "kind" or not hasattr(getattr(event, name), "value")
    }
    return replace(event, **known)


@pytest.mark.feature("D14")
def test_every_kind_of_event_is_looked_at() -> None:
    assert set(ACTIONS) == set(EVENT_TYPES.values())


@pytest.mark.feature("D14")
@pytest.mark.parametrize("kind", ACTIONS, ids=lambda kind: kind.__name__)
def test_the_first_line_says_asset_action_profit_and_badge(kind: type) -> None:
    @settings(max_examples=15, deadline=None)
    @given(strategy_of(kind), st.sampled_from(["SPY", "BTC-USD", "BRK.B"]), WORD)
    def holds(made: Any, symbol: str, word: str) -> None:
        event = sensible(made, symbol, word)
        line = first_line(event)
        assert re.search(ACTIONS[kind], line), line
        if isinstance(getattr(event, "symbol", None), str):
            assert symbol in line
        for badge in getattr(event, "badges", ())[:1]:
            assert badge.value in line
        if isinstance(event, OrderFilled) and event.side is Side.SELL and event.profit is not None:
            assert numbers.signed_money(event.profit) in line
        if isinstance(event, DailyReport) and event.accounts:
            assert numbers.signed_money(event.accounts[0].day_profit) in line
        assert 0 < units(line) <= 600

    holds()


@pytest.mark.feature("D14")
@pytest.mark.parametrize("kind", QuestionKind)
def test_every_question_says_in_its_first_line_what_it_is_about(kind: QuestionKind) -> None:
    asked = QuestionAsked(
        3, 1, kind.value, ("placed", "cannot"), "manual", "SPY", Decimal(1), Decimal(1), None, None, "?", ()
    )
    line = first_line(asked)
    assert "SPY" in line
    assert "Q3" in line
    assert re.search(ACTIONS[QuestionAsked], line), line
