"""The owner's answers, gathered from the ledger alone: a restart changes nothing that he sees."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

from core import reporting
from core.domain.accounts import Account
from core.domain.bars import BarSize
from core.domain.decisions import BrakeKind
from core.domain.dust import without_dust
from core.domain.events import DailyReport, ReportAccount, ReportPosition
from core.domain.instruments import AssetClass
from core.domain.orders import Order, cover_of
from core.domain.portfolio import GuardKind, Portfolio
from core.domain.records import JobOutcome, OutboxState
from core.domain.values import exact
from core.domain.views import PositionsView, StatusView
from core.execution import fallback
from core.execution.attesting import attested_at
from core.execution.desk import Desk
from core.execution.equity import record_of, trading_day_end, valued
from core.execution.live_skill import live_skill, standings
from core.execution.market import last_prices
from core.execution.trade_forecasts import closed_between
from core.execution.venue_state import last_seen
from core.ports import UnitOfWork

UNDELIVERED = (OutboxState.PENDING, OutboxState.SENDING, OutboxState.UNCERTAIN, OutboxState.FAILED)
REPORTED_DAY = "reported_day"


def status(desk: Desk) -> StatusView:
    now = desk.market_clock.now()
    components = desk.components()
    stocks_open = desk.calendar.is_open(AssetClass.STOCK, now)
    change = desk.calendar.next_close if stocks_open else desk.calendar.next_open
    with desk.reading() as work:
        accounts, positions = _accounts(work, desk, now), _positions(work, desk, now)
        brakes = tuple(brake for brake in work.brakes() if brake.holds(now))
        pause = next((brake for brake in brakes if brake.kind is BrakeKind.PAUSED), None)
        model = work.champion()
        last_cycle = work.last_run(desk.tick_job, JobOutcome.DONE)
        return StatusView(
            market_now=now,
            speed=desk.speed(),
            simulated_prices=desk.simulated,
            mode=desk.mode(work),
            fallback=fallback.standing(work, desk),
            paused=pause is not None,
            paused_until=pause.until if pause else None,
            health=reporting.overall_health(components),
            components=components,
            accounts=accounts,
            open_positions=len(positions),
            unguarded=sum(not _is_guarded(desk, position) for position in positions),
            pending_instructions=len(work.open_instructions()),
            stock_session_open=stocks_open,
            next_stock_change=change(AssetClass.STOCK, now),
            last_cycle_at=last_cycle.scheduled_at if last_cycle else None,
            next_cycle_at=desk.next_cycle_at(),
            model_version=model.version if model else None,
            model_trained_at=model.trained_at if model else None,
            last_signal=reporting.signal_words(work.last_signals().values()),
            undelivered_messages=sum(len(work.messages_in(state)) for state in UNDELIVERED),
            badges=reporting.all_badges(accounts),
            real_money=desk.real_money.view(desk) if desk.real_money is not None else None,
            brakes=tuple(brake for brake in brakes if brake.kind is not BrakeKind.PAUSED),
        )


def positions(desk: Desk) -> PositionsView:
    now = desk.market_clock.now()
    with desk.reading() as work:
        accounts = _accounts(work, desk, now)
        return PositionsView(_positions(work, desk, now), accounts, reporting.all_badges(accounts))


def report(desk: Desk, now: datetime) -> DailyReport:
    """The trading day that `now` belongs to; at the moment a day ends, the day that ends."""
    with desk.reading() as work:
        return _report(work, desk, now)


def publish_daily_report(desk: Desk, now: datetime) -> bool:
    """Tells the owner of the trading day that ends at `now`, once, whatever restarts come between; False if told."""
    with desk.ledger() as work:
        day = _day_of(desk, now)
        if work.value(REPORTED_DAY) == day.isoformat():
            return False
        work.publish(_report(work, desk, now), market_time=now)
        work.set_value(REPORTED_DAY, day.isoformat())
        work.commit("report")
    return True


def _day_of(desk: Desk, now: datetime) -> date:
    """The date on which the trading day of `now` ends; 24:00Z belongs to the day that is over then."""
    return (trading_day_end(desk, now) - timedelta(microseconds=1)).date()


def _day_start(desk: Desk, now: datetime) -> datetime:
    """When the trading day before that of `now` ended."""
    day_end, start = trading_day_end(desk, now), now - timedelta(days=7)
    while (after := desk.calendar.day_end(start)) < day_end:
        start = after
    return start


def _report(work: UnitOfWork, desk: Desk, now: datetime) -> DailyReport:
    components = desk.components()
    accounts = _accounts(work, desk, now)
    model = work.champion()
    hits, scored = work.prediction_scores(now - reporting.SCORED_FOR)
    skill, recipe = live_skill(work), model.recipe if model is not None else ""
    skill = skill if skill is not None and skill.recipe == recipe else None
    started = [record.first_at for account in accounts if (record := record_of(work, account.account)) is not None]
    return DailyReport(
        day=_day_of(desk, now),
        since=min(started, default=now),
        accounts=accounts,
        positions=_positions(work, desk, now),
        model_version=model.version if model else None,
        model_auc=model.validation_auc if model else None,
        model_hits=hits,
        model_scored=scored,
        health=reporting.overall_health(components).value,
        components=reporting.component_lines(components),
        ledger_head=work.chain_head(),
        closed=closed_between(work, _day_start(desk, now), now),
        skill=skill.whole if skill is not None else None,
        doubted=tuple(standings(work).doubted.values()),
        waiting=skill.waiting if skill is not None else (),
    )


def _shown_accounts(work: UnitOfWork, desk: Desk) -> list[tuple[Account, Portfolio]]:
    """The broker's account, and the manual one where it holds or ever held something or is the only one."""
    ordered = sorted(work.accounts(), key=lambda account: (account.is_manual, account.id))
    pairs = [(account, work.portfolio(account.id)) for account in ordered]
    alone = desk.broker_account is None or all(account.is_manual for account in ordered)
    return [
        (account, portfolio)
        for account, portfolio in pairs
        if not account.is_manual or alone or portfolio.net_deposits or portfolio.turnover or portfolio.positions
    ]


def _accounts(work: UnitOfWork, desk: Desk, now: datetime) -> tuple[ReportAccount, ...]:
    shown = _shown_accounts(work, desk)
    universe = [instrument.symbol for instrument in desk.instruments]
    prices = last_prices(desk, {*universe, *(symbol for _, held in shown for symbol in held.positions)}, now)
    reports = []
    for account, portfolio in shown:
        record = valued(work, desk, portfolio, prices, now)
        benchmark = reporting.buy_and_hold(_prices_then(desk, universe, record.first_at), prices)
        confirmed = attested_at(work, account.id)
        reports.append(reporting.account_report(account, portfolio, record, benchmark, confirmed))
    return tuple(reports)


def _prices_then(desk: Desk, symbols: list[str], at: datetime) -> Mapping[str, Decimal]:
    """The last daily close of each symbol at or before `at`."""
    bars = {symbol: desk.bars.read(symbol, BarSize.D1, at, 1) for symbol in symbols}
    return {symbol: exact(float(bar.close[-1])) for symbol, bar in bars.items() if len(bar)}


def _is_guarded(desk: Desk, position: ReportPosition) -> bool:
    """Whether a stop rests somewhere or somebody can sell: of a broker that has failed we can only alert."""
    return position.guard is not None and (
        position.guard is not GuardKind.OWNER or desk.account(position.account).is_manual
    )


def _positions(work: UnitOfWork, desk: Desk, now: datetime) -> tuple[ReportPosition, ...]:
    guards = {(guard.account, guard.symbol): guard for guard in work.guards()}
    orders: dict[tuple[str, str], list[Order]] = {}
    for order in work.live_orders():
        orders.setdefault((order.account, order.symbol), []).append(order)
    books = [without_dust(work.portfolio(account.id).positions) for account in work.accounts()]
    held = [position for book in books for position in book.values()]
    prices = last_prices(desk, {position.symbol for position in held}, now)
    return tuple(
        reporting.position_report(
            position,
            prices.get(position.symbol),
            guard := guards.get((position.account, position.symbol)),
            cover_of(orders.get((position.account, position.symbol), ())),
            last_seen(work, guard) if guard is not None else None,
        )
        for position in sorted(held, key=lambda each: (each.account, each.symbol))
    )
