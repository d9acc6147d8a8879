"""Answers to questions: status, positions, pending instructions, the report. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from bot import numbers
from bot.markup import bold, code, esc, italic, line, paragraphs, table
from bot.message import Button, Keyboard, Message
from bot.render_trades import badges, guard_words
from core.domain.accounts import Badge
from core.domain.events import DailyReport, ReportAccount, ReportPosition
from core.domain.records import Instruction
from core.domain.values import ZERO
from core.domain.views import Health, OwnerAnswer, PositionsView, StatusView

MENU_PREFIX = "m"
IN_PLACE = "!"
_HEALTH_ICONS = {Health.RUNNING: "💚", Health.DEGRADED: "🟠", Health.HALTED: "🛑"}


def menu_token(action: str) -> str:
    return f"{MENU_PREFIX}:{action}"


def menu(paused: bool, *, under_status: bool = False) -> Keyboard:
    """The buttons under /status, /start and the welcome. Under a status they renew that message in place."""
    here = IN_PLACE if under_status else ""
    brake = ("▶️ Resume", "resume") if paused else ("⏸ Pause", "pause")
    return (
        (Button(brake[0], menu_token(brake[1] + here)), Button("🔄 Status", menu_token("status" + here))),
        (Button("📊 Positions", menu_token("positions")), Button("✋ Pending", menu_token("pending"))),
        (Button("📄 Report", menu_token("report")),),
    )


def status(view: StatusView, zone: ZoneInfo) -> Message:
    """Everything at a glance; the first line carries health, day's profit and badge."""
    icon = _HEALTH_ICONS[view.health]
    state = f"{view.health.value}{', PAUSED' if view.paused else ''}"
    title = f"{icon} {bold(f'{state} {_day_results(view.accounts)}'.strip())} · {badges(view.badges)}"
    return Message(
        paragraphs(
            title,
            _pause_words(view, zone),
            *(_account_block(account, short=True) for account in view.accounts),
            _engine_block(view, zone),
            f"Last signal: {line(view.last_signal)}" if view.last_signal.strip() else "Last signal: – (none yet)",
            _worries(view, zone),
        ),
        menu(view.paused, under_status=True),
    )


def _pause_words(view: StatusView, zone: ZoneInfo) -> str:
    if not view.paused:
        return ""
    until = f"until {numbers.moment(view.paused_until, zone)}" if view.paused_until else "until you send /resume"
    return f"⏸ Paused {until}: no new entries, open positions stay guarded."


def _engine_block(view: StatusView, zone: ZoneInfo) -> str:
    session = "open, closes" if view.stock_session_open else "closed, opens"
    model = "– (not trained yet)"
    if view.model_version:
        trained = f", {numbers.moment(view.model_trained_at, zone)}" if view.model_trained_at else ""
        model = f"{view.model_version}{trained}"
    rows = [
        ("Mode", view.mode.value),
        ("Positions", str(view.open_positions)),
        ("Unguarded", str(view.unguarded)) if view.unguarded else ("", ""),
        ("Pending", numbers.count(view.pending_instructions, "instruction")),
        ("Stocks", f"{session} {numbers.moment(view.next_stock_change, zone)}"),
        ("Last cycle", numbers.clock_time(view.last_cycle_at, zone) if view.last_cycle_at else "– (none yet)"),
        ("Next cycle", numbers.clock_time(view.next_cycle_at, zone) if view.next_cycle_at else "– (not planned)"),
        ("Model", model),
        ("Clock", _clock_words(view, zone)),
    ]
    return table(row for row in rows if row[0])


def _clock_words(view: StatusView, zone: ZoneInfo) -> str:
    now = numbers.moment(view.market_now, zone)
    if view.speed == 1 and not view.simulated_prices:
        return now
    return f"{now}, simulated, {view.speed:g}x"


def _worries(view: StatusView, zone: ZoneInfo) -> str:
    lines = [
        f"{_HEALTH_ICONS[part.state]} {line(part.name, 40)}: {line(part.reason)} "
        f"(since {numbers.clock_time(part.since, zone)})"
        for part in view.components
        if part.state is not Health.RUNNING
    ]
    if view.unguarded:
        lines.append(f"🚨 {numbers.count(view.unguarded, 'position')} without a stop")
    if view.undelivered_messages:
        lines.append(f"📮 {numbers.count(view.undelivered_messages, 'message')} not delivered yet")
    return "\n".join(lines)


def _day_results(accounts: Sequence[ReportAccount]) -> str:
    """Today's profit of each account; real and play money are never added up."""
    if not accounts:
        return ""
    if len(accounts) == 1:
        (only,) = accounts
        return f"{numbers.signed_money(only.day_profit)} ({numbers.signed_percent(only.day_fraction)})"
    return ", ".join(f"{numbers.signed_money(each.day_profit)} {badges(each.badges)}" for each in accounts)


def _account_block(account: ReportAccount, *, short: bool) -> str:
    source = ", as you reported" if account.attested else ""
    name = f"{bold(line(account.account, 40))} · {badges(account.badges)}{source}"
    rows = [
        ("Value", numbers.money(account.equity)),
        ("Cash", numbers.money(account.cash)),
        ("Today", f"{numbers.signed_money(account.day_profit)} ({numbers.signed_percent(account.day_fraction)})"),
    ]
    if not short:
        rows += _period_rows(account)
    return f"{name}\n{table(rows)}"


def _period_rows(account: ReportAccount) -> list[tuple[str, str]]:
    benchmark = "– (no prices yet)"
    if account.benchmark_fraction is not None:
        benchmark = numbers.signed_percent(account.benchmark_fraction)
    won = "– (no trade closed)"
    if account.trades_closed:
        share = Decimal(account.trades_won) / Decimal(account.trades_closed)
        won = f"{account.trades_won} of {account.trades_closed} ({numbers.percent(share, places=0)})"
    return [
        ("Return", numbers.signed_percent(account.total_fraction)),
        ("Buy & hold", benchmark),
        ("Trades won", won),
        ("Fees", numbers.money(account.fees)),
    ]


def positions(view: PositionsView) -> Message:
    """Every position with its profit, protection and guard, then the cash."""
    total = _open_results(view.positions, view.accounts)
    held = numbers.count(len(view.positions), "position")
    title = f"📊 {bold(f'{held} {total}'.strip())} · {badges(view.badges)}"
    marks = {account.account: account.badges for account in view.accounts}
    blocks = [_position_block(entry, marks) for entry in view.positions]
    cash = "\n".join(
        f"Cash {line(account.account, 40)} · {badges(account.badges)}: {numbers.money(account.cash)}"
        for account in view.accounts
    )
    return Message(paragraphs(title, *(blocks or ["Nothing is held."]), cash))


def _open_results(held: Sequence[ReportPosition], accounts: Sequence[ReportAccount]) -> str:
    if not held:
        return ""
    names = list(dict.fromkeys(entry.account for entry in held))
    marks = {account.account: account.badges for account in accounts}
    sums = {name: sum((entry.profit for entry in held if entry.account == name), ZERO) for name in names}
    if len(names) == 1:
        return numbers.signed_money(sums[names[0]])
    return ", ".join(f"{numbers.signed_money(sums[name])} {badges(marks.get(name, ()))}" for name in names)


def _position_block(entry: ReportPosition, marks: Mapping[str, tuple[Badge, ...]]) -> str:
    result = f"{numbers.signed_money(entry.profit)} ({numbers.signed_percent(entry.profit_fraction)})"
    title = f"{bold(f'{line(entry.symbol, 20)} {result}')} · {badges(marks.get(entry.account, ()))}"
    rows = [
        ("Held", f"{numbers.quantity(entry.quantity)} @ {numbers.price(entry.price)}"),
        ("Value", numbers.money(entry.value)),
        ("Stop", numbers.price(entry.stop) if entry.stop is not None else "– (none set)"),
        ("Target", numbers.price(entry.target) if entry.target is not None else "– (none set)"),
        ("Guard", guard_words(entry.guard)),
    ]
    return f"{title}\n{table(rows)}"


def pending(instructions: Sequence[Instruction], zone: ZoneInfo) -> Message:
    """The list above the cards that /pending sends again."""
    if not instructions:
        return Message("✋ Nothing waits for you.")
    rows = "\n".join(
        f"#{entry.number} {bold(_deed(entry))} @ {numbers.price(entry.price)}, "
        + (f"expires {numbers.moment(entry.expires_at, zone)}" if entry.expires_at else "waits for you")
        for entry in instructions[:30]
    )
    return Message(paragraphs(f"✋ {bold(numbers.count(len(instructions), 'instruction') + ' waiting')}", rows))


def _deed(entry: Instruction) -> str:
    return f"{line(entry.symbol, 20)} {entry.side.upper()} {numbers.quantity(entry.quantity)}"


def report(event: DailyReport) -> Message:
    """The day: value, profit, benchmark, trades, model, health, positions, the ledger's head."""
    marks = tuple(dict.fromkeys(mark for account in event.accounts for mark in account.badges))
    title = f"📄 {bold(f'Report {_day_results(event.accounts)}'.strip())} · {badges(marks)}"
    period = f"{numbers.day(event.day)}, returns since {numbers.day(event.since.date())}"
    blocks = [_account_block(account, short=False) for account in event.accounts]
    account_marks = {account.account: account.badges for account in event.accounts}
    held = [_position_line(entry, account_marks) for entry in event.positions]
    return Message(
        paragraphs(
            f"{title}\n{period}",
            *blocks,
            f"{bold('Positions')}\n" + ("\n".join(held) if held else "Nothing is held."),
            f"{bold('Model')}\n{_model_words(event)}",
            f"{bold('Health')}\n{_health_words(event)}",
            f"Ledger head {code(line(event.ledger_head, 64))}",
        )
    )


def _position_line(entry: ReportPosition, marks: Mapping[str, tuple[Badge, ...]]) -> str:
    guard = entry.guard.value if entry.guard else "UNGUARDED"
    return (
        f"{bold(line(entry.symbol, 20))} {numbers.quantity(entry.quantity)} = {numbers.money(entry.value)}, "
        f"{numbers.signed_money(entry.profit)} ({numbers.signed_percent(entry.profit_fraction)}), "
        f"guard {guard} · {badges(marks.get(entry.account, ()))}"
    )


def _model_words(event: DailyReport) -> str:
    if event.model_version is None:
        return "– (not trained yet)"
    hits = "accuracy – (no prediction has matured yet)"
    if event.model_scored:
        share = Decimal(event.model_hits) / Decimal(event.model_scored)
        hits = f"right {event.model_hits} of {event.model_scored} ({numbers.percent(share, places=0)})"
    return f"{line(event.model_version, 40)}, AUC {numbers.measure(event.model_auc)}, {hits}"


def _health_words(event: DailyReport) -> str:
    parts = "\n".join(f"{line(name, 40)}: {line(state)}" for name, state in event.components)
    return f"{line(event.health, 40)}\n{parts}".strip()


def answer(given: OwnerAnswer) -> Message:
    """What became of a command; where the owner must choose, each choice as a command to copy."""
    choices = "\n".join(
        f"#{entry.number} {_deed(entry)} @ {numbers.price(entry.price)}: {code(f'/executed #{entry.number}')}"
        for entry in given.candidates[:20]
    )
    hint = italic("Name one by its number, with quantity and price as you like.") if choices else ""
    return Message(paragraphs(esc(given.text, 1500) or "Done.", choices, hint))
