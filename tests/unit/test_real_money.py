"""A live account is dealt with only after its venue names the account of the settings and the owner gives his word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bot.opening import WELCOMED, greet
from bot.render import render
from core.domain.accounts import Badge, Mode, World
from core.domain.events import OrderFilled, RealMoneyAsked, RealMoneyChanged, RealMoneyHeldBack, SignalRaised, Welcome
from core.domain.orders import OrderState
from core.domain.portfolio import GuardKind
from core.domain.real_money import is_phrase, phrase
from core.domain.views import AnswerKind, Health
from core.execution import restored
from core.execution.real_money import permit_of
from tests.builders import COIN, UNIVERSAL
from tests.live_bench import LIVE, NUMBER, LiveBench

pytestmark = pytest.mark.feature("S10")
Make = Callable[..., LiveBench]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[LiveBench] = []

    def one(**options: object) -> LiveBench:
        made.append(LiveBench(tmp_path, **options))  # type: ignore[arg-type]
        return made[-1]

    yield one
    for bench in made:
        bench.close()


def allowed(bench: LiveBench) -> LiveBench:
    """With the owner's word and mode auto."""
    bench.look()
    assert bench.owner.allow_real_money(NUMBER, "owner").kind is AnswerKind.DONE
    bench.owner.set_mode(Mode.AUTO, "owner")
    return bench


def buys(bench: LiveBench) -> int:
    """Signals that led to an order at the live account."""
    bench.bar(100.5)
    bench.tick()
    return len(bench.live.touched)


def test_before_the_owners_word_nothing_is_sent_and_the_account_is_not_even_opened(make: Make) -> None:
    bench = make(mode=Mode.AUTO)
    bench.look()
    assert buys(bench) == 0
    assert [account.id for account in bench.read(lambda work: work.accounts())] == ["manual"]
    assert bench.owner.status().mode is Mode.MANUAL
    refused = bench.owner.set_mode(Mode.AUTO, "owner")
    assert refused.kind is AnswerKind.REFUSED
    assert "/realmoney" in refused.text


@pytest.mark.feature("U2")
def test_the_welcome_says_whose_money_it_is(make: Make) -> None:
    for paper, words in ((False, "Nothing is sent there before you have allowed it: /realmoney"), (True, "say PAPER")):
        bench = make(paper=paper)
        bench.start()
        with bench.database.unit_of_work() as work:
            work.set_value(WELCOMED, None)
            work.commit("greeting")
        greet(bench.desk, 1.0, None, "ledger-tryout.sqlite")
        text = render(bench.events(Welcome)[-1], UNIVERSAL).text
        assert words in text
        assert ("PAPER" if paper else "LIVE") in text.partition("\n")[0]
        assert "ledger-tryout.sqlite" in text


def test_the_owner_is_asked_once_a_day_with_number_worth_and_what_is_held(make: Make) -> None:
    bench = make()
    bench.live.brought = {"SPY": Decimal(3)}
    for _ in range(3):
        bench.look()
    (asked,) = bench.events(RealMoneyAsked)
    assert (asked.number, asked.equity, asked.positions) == (NUMBER, Decimal(10_300), (("SPY", Decimal(3)),))
    assert asked.badges == (Badge.LIVE,)
    bench.system.advance(timedelta(days=1))
    bench.look()
    assert len(bench.events(RealMoneyAsked)) == 2


def test_his_word_opens_the_account_and_orders_go_there(make: Make) -> None:
    bench = make()
    bench.look()
    answer = bench.owner.allow_real_money(NUMBER, "owner")
    assert answer.kind is AnswerKind.DONE
    (told,) = bench.events(RealMoneyChanged)
    assert (told.allowed, told.number, told.equity, told.mode) == (True, NUMBER, Decimal(10_000), Mode.MANUAL)
    assert LIVE in bench.read(lambda work: work.accounts())
    trail = bench.read(lambda work: work.audit_trail())
    assert any(NUMBER in record.action and "10000" in record.outcome for record in trail)
    bench.owner.set_mode(Mode.AUTO, "owner")
    assert buys(bench) == 1
    bench.bar(100.5)
    bench.reconcile()
    assert all(fill.badges == (Badge.LIVE,) for fill in bench.events(OrderFilled))
    assert [signal.account for signal in bench.events(SignalRaised)] == [LIVE.id]
    assert bench.owner.allow_real_money(NUMBER, "owner").kind is AnswerKind.UNCHANGED


def test_only_the_account_of_the_settings_can_be_allowed(make: Make) -> None:
    bench = make(allowed="987654321")
    bench.look()
    assert (
        "the keys are those of account 123456789, ALLOW_REAL_MONEY names 987654321" in bench.health.states[LIVE.id][1]
    )
    assert bench.events(RealMoneyAsked) == []
    for number in (NUMBER, "987654321"):
        answer = bench.owner.allow_real_money(number, "owner")
        assert answer.kind is AnswerKind.REFUSED
        assert "Nothing was changed" in answer.text
    assert buys(bench) == 0


def test_what_keeps_the_account_closed_whatever_he_says_is_told_once(make: Make) -> None:
    bench = make(allowed="987654321")
    for _ in range(3):
        bench.look()
    (told,) = bench.events(RealMoneyHeldBack)
    assert "ALLOW_REAL_MONEY names 987654321" in told.words
    bench.restart()
    bench.look()
    assert len(bench.events(RealMoneyHeldBack)) == 1
    bench.live.number = "987654321"
    bench.look()
    bench.live.number = NUMBER
    bench.look()
    assert len(bench.events(RealMoneyHeldBack)) == 2


def test_a_venue_that_is_silent_at_the_start_is_told_of_only_once_that_lasts(make: Make) -> None:
    bench = make()
    bench.live.is_away = True
    bench.look()
    assert bench.events(RealMoneyHeldBack) == []
    for _ in range(3):
        bench.system.advance(bench.policy.keys_patience)
        bench.look()
    (told,) = bench.events(RealMoneyHeldBack)
    assert "does not say which account this is: does not answer" in told.words
    bench.live.is_away = False
    bench.look()
    assert len(bench.events(RealMoneyAsked)) == 1


@pytest.mark.feature("U2")
def test_a_status_names_an_account_also_before_the_brokers_was_ever_met(make: Make) -> None:
    bench = make(paper=True)
    bench.live.is_away = True
    bench.reconcile()
    assert bench.owner.status().badges == (Badge.MANUAL,)


def test_an_account_whose_number_changed_between_question_and_answer_is_not_allowed(make: Make) -> None:
    bench = make()
    bench.look()
    bench.live.number = "987654321"
    assert bench.owner.allow_real_money(NUMBER, "owner").kind is AnswerKind.REFUSED
    assert bench.owner.allow_real_money("987654321", "owner").kind is AnswerKind.REFUSED
    assert bench.read(permit_of) is None


def test_a_restart_keeps_the_word_but_trades_only_once_the_venue_has_named_the_account(make: Make) -> None:
    bench = allowed(make())
    bench.restart()
    bench.live.is_away = True
    bench.look()
    assert bench.desk.broker_account is None
    state, reason = bench.health.states[LIVE.id]
    assert state is Health.DEGRADED
    assert "does not say which account this is: does not answer" in reason
    bench.live.is_away = False
    bench.look()
    assert bench.desk.broker_account == LIVE.id
    assert len(bench.events(RealMoneyAsked)) == 1
    assert buys(bench) == 1


@pytest.mark.parametrize("settings", [{"allowed": "987654321"}, {"paper": True}, {"keyless": True}])
def test_other_settings_take_the_word_back(make: Make, settings: dict[str, object]) -> None:
    bench = allowed(make())
    bench.__dict__.update(settings)
    bench.restart()
    assert bench.read(permit_of) is None
    bench.__dict__.update({"allowed": NUMBER, "paper": False, "keyless": False})
    bench.restart()
    bench.look()
    assert bench.desk.broker_account is None
    assert "you have not allowed real money yet" in bench.health.states[LIVE.id][1]


def test_the_books_of_one_live_account_never_take_the_trades_of_another(make: Make) -> None:
    bench = allowed(make())
    bench.allowed = "987654321"
    bench.restart()
    bench.live.number = "987654321"
    bench.look()
    assert bench.owner.allow_real_money("987654321", "owner").kind is AnswerKind.REFUSED
    assert "this ledger holds the trades of account 123456789" in bench.health.states[LIVE.id][1]


@pytest.mark.feature("C6")
def test_the_mode_of_a_paper_account_does_not_follow_to_a_live_one(make: Make) -> None:
    bench = make(paper=True)
    bench.start()
    bench.owner.set_mode(Mode.OBSERVE, "owner")
    bench.owner.set_mode(Mode.AUTO, "owner")
    bench.paper = False
    bench.restart()
    bench.look()
    assert bench.owner.chosen_mode() is Mode.MANUAL
    bench.owner.allow_real_money(NUMBER, "owner")
    assert bench.owner.status().mode is Mode.MANUAL


def test_the_word_can_be_taken_back_and_nothing_more_is_sent(make: Make) -> None:
    bench = allowed(make())
    assert buys(bench) == 1
    bench.bar(100.5)
    bench.reconcile()
    before = list(bench.live.touched)
    assert bench.owner.stop_real_money("owner").kind is AnswerKind.DONE
    bench.bar(80.0)
    bench.tick()
    bench.owner.flatten("owner")
    bench.owner.exit_all()
    assert bench.owner.close(COIN, Decimal(1), "owner", "tap").kind is AnswerKind.REFUSED
    moved = bench.owner.move_levels(COIN, Decimal(70), None, "owner", "tap 2")
    assert "not connected" in moved.text
    assert bench.live.touched == before


def test_what_a_closed_account_holds_stays_shown_and_names_no_guard_that_does_not_watch(make: Make) -> None:
    bench = allowed(make())
    buys(bench)
    bench.bar(100.5)
    bench.reconcile()
    bench.keyless = True
    bench.restart()
    bench.reconcile()
    (held,) = bench.owner.positions().positions
    assert (held.account, held.symbol) == (LIVE.id, COIN)
    guards = bench.read(lambda work: work.guards(LIVE.id))
    assert [guard.kind for guard in guards] == [GuardKind.VENUE], "its stop rests at the venue"
    assert guards[0].last_seen_at <= bench.clock.now()


def test_a_purchase_that_waits_there_is_cancelled_with_the_word(make: Make) -> None:
    bench = allowed(make())
    assert buys(bench) == 1
    (entry,) = bench.read(lambda work: work.live_orders(LIVE.id))
    bench.owner.stop_real_money("owner")
    assert bench.live.touched[-1] == entry.client_order_id
    assert bench.events(RealMoneyChanged)[-1].left_working == 0
    found = bench.live.find(entry.client_order_id)
    assert found is not None
    assert found.state is OrderState.CANCELED


def test_a_restored_backup_brings_no_word_back(make: Make) -> None:
    bench = allowed(make())
    with bench.database.unit_of_work() as work:
        restored.settle(work, World.REAL, bench.clock.now(), 2, bench.clock.now())
        work.commit("restore")
    assert bench.read(permit_of) is None


@pytest.mark.feature("S11")
def test_what_is_to_be_sold_without_keys_is_a_card_for_the_brokers_own_app_until_the_keys_are_back(make: Make) -> None:
    bench = allowed(make())
    buys(bench)
    bench.bar(100.5)
    bench.reconcile()
    bench.keyless = True
    bench.restart()
    before = list(bench.live.touched)
    bench.owner.flatten("owner")
    bench.owner.exit_all()
    (card,) = bench.owner.pending()
    assert (card.account, card.symbol) == (LIVE.id, COIN)
    assert bench.owner.close(COIN, Decimal(1), "owner", "tap").kind is AnswerKind.REFUSED, "asked for already"
    assert bench.live.touched == before
    bench.keyless = False
    bench.restart()
    bench.look()
    assert bench.owner.allow_real_money(NUMBER, "owner").kind is AnswerKind.DONE
    assert bench.owner.pending() == ()
    bench.owner.exit_all()
    assert len(bench.live.touched) > len(before)


@pytest.mark.feature("S8")
def test_on_the_first_day_little_is_invested_and_the_reason_stands_in_the_decision(make: Make) -> None:
    bench = allowed(make(symbols=(COIN, "ETH-USD")))
    buys(bench)
    signals = bench.read(lambda work: work.last_signals())
    words = [verdict.reason for verdict in signals[COIN].verdicts if verdict.gate == "first day"]
    assert words and "10 % of equity on the first day of real money" in words[0]
    bench.bar(100.5)
    bench.bar(100.5, symbol="ETH-USD")
    bench.tick()
    held = [each for each in bench.owner.positions().positions if each.account == LIVE.id]
    value = sum(each.value for each in held)
    assert 0 < value <= Decimal(1_000)
    view = bench.owner.status().real_money
    assert view is not None
    assert view.first_day_limit is not None
    assert view.first_day_limit <= Decimal(1_010)


@pytest.mark.feature("S8")
def test_when_that_trading_day_ends_the_ordinary_limits_hold(make: Make) -> None:
    bench = allowed(make())
    permit = bench.read(permit_of)
    assert permit is not None
    assert permit.first_day_until == bench.calendar.day_end(bench.clock.now())
    bench.clock.advance(permit.first_day_until - bench.clock.now())
    view = bench.owner.real_money()
    assert view is not None
    assert view.first_day_limit is None


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        (phrase(NUMBER), True),
        ("  Trade  123456789 with REAL money. ", True),
        ("trade 987654321 with real money", False),
        ("trade with real money", False),
        ("yes", False),
        ("trade 123456789 with real money now", False),
        ("", False),
    ],
)
def test_only_the_very_words_count(text: str, passes: bool) -> None:
    assert is_phrase(text, NUMBER) is passes
