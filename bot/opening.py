"""What a start does to the ledger: accounts opened and reconciled, play money declared, the owner greeted."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from core.cycle import recover
from core.domain.accounts import AccountKind, World
from core.domain.decisions import BrakeKind
from core.domain.dust import without_dust
from core.domain.events import EngineStarted, Welcome
from core.domain.portfolio import CashKind, CashMovement
from core.domain.values import ZERO
from core.execution import fallback
from core.execution.desk import Desk
from core.execution.real_money import note_broker
from core.ports import UnitOfWork, UnitOfWorkFactory
from core.settings.book import SettingsBook

WELCOMED = "welcomed"
LAST_SEEN = "last_seen"
PLAY_MONEY = "play-money"
MARKET_SEED = "market_seed"


def kept_seed(ledger: UnitOfWorkFactory, wanted: int) -> int:
    """The seed that the simulated market began with; `wanted`, written down, where it begins now."""
    with ledger() as work:
        stored = work.value(MARKET_SEED)
        if stored is None:
            work.set_value(MARKET_SEED, str(wanted))
            work.commit("seed")
            return wanted
    return int(stored)


def open_accounts(desk: Desk, play_money: Decimal) -> str:
    """Recovers from however the last run ended; opens accounts; a try-out's manual one gets `play_money` USD once.

    Returns what the accounts hold, in words.
    """
    now = desk.market_clock.now()
    note_broker(desk, desk.real_money)
    if desk.real_money is not None:
        desk.real_money.look(desk)
    recover(desk, now)
    manual = AccountKind.MANUAL.value
    with desk.ledger() as work:
        if play_money > ZERO:
            gift = CashMovement(PLAY_MONEY, manual, CashKind.DEPOSIT, play_money, now, "play money for trying out")
            work.book(gift, recorded_at=desk.system_clock.now())
            work.commit("gift")
        return "; ".join(_holdings(work, account.id) for account in work.accounts())


def _holdings(work: UnitOfWork, account: str) -> str:
    portfolio = work.portfolio(account)
    count = len(without_dust(portfolio.positions))
    return f"{account} {portfolio.cash:,.2f} USD cash, {count} position{'' if count == 1 else 's'}"


def greet(desk: Desk, speed: float, book: SettingsBook | None = None, left_behind: str = "") -> None:
    """The welcome on the first start of an installation, afterwards a line that says how long nobody watched, and what
    the environment says otherwise than the owner chose in the chat. `left_behind` is a former ledger of play money."""
    now, system_now = desk.market_clock.now(), desk.system_clock.now()
    with desk.ledger() as work:
        if work.value(WELCOMED) is None:
            work.publish(_welcome(desk, work, speed, left_behind), market_time=now)
            work.set_value(WELCOMED, system_now.isoformat())
        else:
            seen = work.value(LAST_SEEN)
            since = datetime.fromisoformat(seen) if seen else None
            work.publish(_started(desk, work, now, system_now, since), market_time=now)
        differs = book.tell_differences(work) if book is not None else None
        against = book.tell_contradictions(work) if book is not None else None
        for event in (differs, against):
            if event is not None:
                work.publish(event, market_time=now)
        work.commit("greeting")


def tell_absence(desk: Desk, since: datetime) -> None:
    """This process stood still from `since` (system time) until now; the owner is told that nobody watched."""
    with desk.ledger() as work:
        now = desk.market_clock.now()
        work.publish(_started(desk, work, now, desk.system_clock.now(), since), market_time=now)
        work.commit("absence")


def note_watched(desk: Desk) -> None:
    """Up to now somebody has watched: what a next start counts from."""
    with desk.ledger() as work:
        work.set_value(LAST_SEEN, desk.system_clock.now().isoformat())
        work.commit("watched")


def _welcome(desk: Desk, work: UnitOfWork, speed: float, left_behind: str) -> Welcome:
    main = desk.trading_account or AccountKind.MANUAL.value
    return Welcome(
        badges=desk.badges(main),
        simulated_prices=desk.world is World.SIMULATED,
        simulated_broker=desk.broker_account == AccountKind.SIMULATED.value,
        speed=speed,
        symbols=tuple(instrument.symbol for instrument in desk.instruments),
        equity=work.portfolio(main).cash,
        mode=desk.mode(work),
        broker=desk.trading_account or "",
        left_behind=left_behind,
    )


def _started(
    desk: Desk, work: UnitOfWork, now: datetime, system_now: datetime, since: datetime | None
) -> EngineStarted:
    held = fallback.standing(work, desk)
    return EngineStarted(
        at=system_now,
        down_since=since,
        mode=desk.mode(work),
        paused=any(brake.kind is BrakeKind.PAUSED and brake.holds(now) for brake in work.brakes()),
        open_positions=sum(len(without_dust(work.portfolio(account.id).positions)) for account in work.accounts()),
        pending_instructions=len(work.open_instructions()),
        badges=desk.badges(desk.broker_account or AccountKind.MANUAL.value),
        held_by=held.account if held is not None else "",
    )
