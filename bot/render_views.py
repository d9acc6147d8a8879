"""Answers to questions: status, positions, pending instructions, the report. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from bot import numbers
from bot.markup import bold, code, italic, line, paragraphs, table, visible
from bot.message import Button, Keyboard, Message
from bot.render_hand import hand_buttons
from bot.render_marks import account_name, account_title, all_badges
from bot.render_reasons import sentence
from bot.render_trades import distance, guard_words
from core.domain.accounts import Badge
from core.domain.events import DailyReport, ReportAccount, ReportPosition
from core.domain.records import Instruction
from core.domain.values import ZERO
from core.domain.views import Health, OwnerAnswer, PositionsView, StatusView
from core.reporting import SCORED_FOR

MENU_PREFIX = "m"
IN_PLACE = "!"
LONGEST_TOKEN = 64
"""Bytes of callback data that Telegram allows."""
NOTHING_WAITS = "✋ Nothing waits for you."
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
        (Button("📄 Report", menu_token("report")), *([Button("📍 Live", menu_token("status-live"))] if here else [])),
    )


def whole_menu(view: StatusView) -> Message:
    """Every command that needs no words of its own."""
    brake = ("▶️ Resume", f"menu-resume{IN_PLACE}") if view.paused else ("⏸ Pause", f"menu-pause{IN_PLACE}")
    rows = (
        (("🔄 Status", "status"), ("📊 Positions", "positions"), ("✋ Pending", "pending")),
        (("📈 Signals", "signals"), ("📄 Report", "report"), ("📍 Live", "status-live")),
        (brake, ("🛑 Locks", "locks"), ("🎛 Mode", "mode")),
        (("⚙️ Settings", "settings"), ("🔔 Messages", "notify"), ("🌙 Quiet", "quiet")),
        (("🏳 Sell everything", "flatten"), ("❔ Help", "help")),
    )
    keyboard = tuple(tuple(Button(label, menu_token(action)) for label, action in row) for row in rows)
    state = "paused" if view.paused else f"mode {view.mode.value}"
    return Message(f"🧭 {bold(f'Menu, {state}')} · {all_badges(view.accounts, view.badges)}", keyboard)


def status(view: StatusView, zone: ZoneInfo) -> Message:
    """Everything at a glance: health, day's profit and badge first, then what I am doing, then the money."""
    icon = _HEALTH_ICONS[view.health]
    state = f"{view.health.value}{', PAUSED' if view.paused else ''}"
    title = (
        f"{icon} {bold(f'{state} {_day_results(view.accounts)}'.strip())} · {all_badges(view.accounts, view.badges)}"
    )
    return Message(
        paragraphs(
            title,
            _pause_words(view, zone),
            _worries(view, zone),
            table(_engine_rows(view, zone)),
            *(_account_block(account, zone, short=True) for account in view.accounts),
            f"Last signal: {_last_signal(view, zone)}",
            _clock_words(view, zone),
        ),
        menu(view.paused, under_status=True),
    )


def _pause_words(view: StatusView, zone: ZoneInfo) -> str:
    if not view.paused:
        return ""
    until = "until you send /resume"
    if view.paused_until:
        market = " market time" if view.simulated_prices else ""
        until = f"until {numbers.moment(view.paused_until, zone)}{market}"
    return f"⏸ Paused {until}: no new entries, open positions stay guarded."


def _engine_rows(view: StatusView, zone: ZoneInfo) -> list[tuple[str, str]]:
    return [
        ("Mode", f"{view.mode.value}{', paused' if view.paused else ''}"),
        ("Health", _health_summary(view)),
        ("Positions", str(view.open_positions)),
        ("Pending", numbers.count(view.pending_instructions, "instruction")),
        ("US closing" if view.stock_session_open else "US opening", numbers.moment(view.next_stock_change, zone)),
        ("Last cycle", numbers.clock_time(view.last_cycle_at, zone) if view.last_cycle_at else "– (none yet)"),
        ("Next cycle", numbers.clock_time(view.next_cycle_at, zone) if view.next_cycle_at else "– (not planned)"),
        ("Model of", numbers.moment(view.model_trained_at, zone) if view.model_trained_at else "– (not trained yet)"),
    ]


def _health_summary(view: StatusView) -> str:
    """How many parts are well; those that are not stand above with their reasons."""
    parts = numbers.count(len(view.components), "part")
    ailing = sum(part.state is not Health.RUNNING for part in view.components)
    if not view.components:
        return view.health.value
    return f"{ailing} of {parts} ailing" if ailing else f"all well ({parts})"


def _last_signal(view: StatusView, zone: ZoneInfo) -> str:
    return sentence(view.last_signal, zone, 200) if view.last_signal.strip() else "– (none yet)"


def _clock_words(view: StatusView, zone: ZoneInfo) -> str:
    """What time it is in the market; where that is simulated, that all times above are the market's."""
    if not view.simulated_prices:
        return f"It is {numbers.moment(view.market_now, zone)}."
    pace = f" and runs {view.speed:g} times as fast as yours" if view.speed != 1 else ""
    now = bold(numbers.moment(view.market_now, zone))
    return f"⏩ In the simulated market it is {now}. Its clock rules the times above{pace}."


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
    """Today's profit, the first account's and that of others with any; real and play money are never added up."""
    if not accounts:
        return ""
    first, *others = accounts
    told = [f"{numbers.signed_money(first.day_profit)} ({numbers.signed_percent(first.day_fraction, places=2)})"]
    told += [
        f"{line(account_name(other.account), 40)} {numbers.signed_money(other.day_profit)}"
        for other in others
        if other.day_profit
    ]
    return ", ".join(told)


def _confirmed(account: ReportAccount, zone: ZoneInfo) -> str:
    return f"{account_title(account.account, account.badges)}: {_source(account, zone)}."


def _source(account: ReportAccount, zone: ZoneInfo) -> str:
    """Where the figures of the manual account come from."""
    if account.confirmed_at is None:
        return "as you reported"
    return f"as you confirmed on {numbers.day(account.confirmed_at.astimezone(zone).date())}"


def _account_block(account: ReportAccount, zone: ZoneInfo, *, short: bool) -> str:
    """A short one, of a status that has to fit a phone's screen, leaves the cash to /positions."""
    source = f", {_source(account, zone)}" if account.attested else ""
    name = f"{bold(account_title(account.account, account.badges))}{source}"
    today = f"{numbers.signed_money(account.day_profit)} ({numbers.signed_percent(account.day_fraction, places=2)})"
    rows = [("Value", numbers.money(account.equity)), ("Today", today)]
    if not short:
        rows.insert(1, ("Cash", numbers.money(account.cash)))
        rows += _period_rows(account)
    return f"{name}\n{table(rows)}"


def _period_rows(account: ReportAccount) -> list[tuple[str, str]]:
    benchmark = "– (no prices yet)"
    if account.benchmark_fraction is not None:
        benchmark = numbers.signed_percent(account.benchmark_fraction, places=2)
    won = "– (none closed yet)"
    if account.trades_closed:
        share = Decimal(account.trades_won) / Decimal(account.trades_closed)
        won = f"{account.trades_won} of {account.trades_closed} ({numbers.percent(share, places=0)})"
    return [
        ("Return", numbers.signed_percent(account.total_fraction, places=2)),
        ("Buy & hold", benchmark),
        ("Trades won", won),
        ("Fees", numbers.money(account.fees)),
    ]


def positions(view: PositionsView, zone: ZoneInfo) -> Message:
    """Every position with its profit, protection and guard, then the cash."""
    total = _open_results(view.positions)
    held = numbers.count(len(view.positions), "position")
    title = f"📊 {bold(f'{held} {total}'.strip())} · {all_badges(view.accounts, view.badges)}"
    marks = {account.account: account.badges for account in view.accounts}
    blocks = [_position_block(entry, marks) for entry in view.positions]
    cash = table((account_name(account.account), numbers.money(account.cash)) for account in view.accounts)
    return Message(
        paragraphs(
            title,
            *(blocks or ["Nothing is held."]),
            f"{bold('Cash')}\n{cash}" if view.accounts else "",
            "\n".join(_confirmed(account, zone) for account in view.accounts if account.attested),
        ),
        hand_buttons(view.positions),
    )


def _open_results(held: Sequence[ReportPosition]) -> str:
    if not held:
        return ""
    names = list(dict.fromkeys(entry.account for entry in held))
    sums = {name: sum((entry.profit for entry in held if entry.account == name), ZERO) for name in names}
    if len(names) == 1:
        return numbers.signed_money(sums[names[0]])
    return ", ".join(f"{line(account_name(name), 40)} {numbers.signed_money(sums[name])}" for name in names)


def _position_block(entry: ReportPosition, marks: Mapping[str, tuple[Badge, ...]]) -> str:
    result = f"{numbers.signed_money(entry.profit)} ({numbers.signed_percent(entry.profit_fraction, places=2)})"
    rows = [
        ("Account", visible(account_title(entry.account, marks.get(entry.account, ())))),
        ("Held", numbers.quantity(entry.quantity)),
        ("Cost", _cost(entry)),
        ("Price", numbers.price(entry.price)),
        ("Value", numbers.money(entry.value)),
        ("Stop", distance(entry.stop, entry.price)),
        ("Target", distance(entry.target, entry.price)),
        ("Guard", guard_words(entry.guard)),
    ]
    return f"{bold(f'{line(entry.symbol, 20)} {result}')}\n{table(rows)}"


def _cost(entry: ReportPosition) -> str:
    """What one unit has cost, fees included."""
    return (
        f"{numbers.price((entry.value - entry.profit) / entry.quantity)} a unit" if entry.quantity else numbers.MISSING
    )


def pending(instructions: Sequence[Instruction], zone: ZoneInfo, marks: Iterable[Badge] = ()) -> Message:
    """The list above the cards that /pending sends again; `marks` are those of the accounts in it."""
    if not instructions:
        return Message(NOTHING_WAITS)
    rows = "\n".join(
        f"#{entry.number} {bold(_deed(entry))} @ {numbers.price(entry.price)}, "
        + (f"expires {numbers.moment(entry.expires_at, zone)}" if entry.expires_at else "waits for you")
        for entry in instructions[:30]
    )
    badge = " ".join(dict.fromkeys(mark.value for mark in marks))
    title = f"✋ {bold(numbers.count(len(instructions), 'instruction') + ' waiting')}{f' · {badge}' if badge else ''}"
    return Message(paragraphs(title, rows))


def _deed(entry: Instruction) -> str:
    return f"{line(entry.symbol, 20)} {entry.side.upper()} {numbers.quantity(entry.quantity)}"


def report(event: DailyReport, zone: ZoneInfo) -> Message:
    """The day: value, profit, benchmark, positions, model, health, the ledger's head."""
    marks = tuple(dict.fromkeys(mark for account in event.accounts for mark in account.badges))
    title = f"📄 {bold(f'Report {_day_results(event.accounts)}'.strip())} · {all_badges(event.accounts, marks)}"
    period = f"{numbers.day(event.day)}\nReturns since {numbers.day(event.since.astimezone(zone).date())}"
    blocks = [_account_block(account, zone, short=False) for account in event.accounts]
    account_marks = {account.account: account.badges for account in event.accounts}
    held = [_position_line(entry, account_marks) for entry in event.positions]
    return Message(
        paragraphs(
            f"{title}\n{period}",
            *blocks,
            f"{bold('Positions')}\n" + ("\n".join(held) if held else "Nothing is held."),
            f"{bold('Model')}\n{_model_words(event)}",
            f"{bold('Health')}\n{_health_words(event)}",
            f"{bold('Ledger head')}, the seal on all so far\n{code(line(event.ledger_head, 64))}",
        )
    )


def _position_line(entry: ReportPosition, marks: Mapping[str, tuple[Badge, ...]]) -> str:
    result = f"{numbers.signed_money(entry.profit)} ({numbers.signed_percent(entry.profit_fraction, places=2)})"
    return (
        f"{bold(f'{line(entry.symbol, 20)} {result}')}\n"
        f"{numbers.quantity(entry.quantity)}, worth {numbers.money(entry.value)}\n"
        f"{account_title(entry.account, marks.get(entry.account, ()))}. Guard: {guard_words(entry.guard)}"
    )


def _model_words(event: DailyReport) -> str:
    if event.model_version is None:
        return "– (not trained yet)"
    hits = "No forecast is old enough to be judged yet."
    if event.model_scored:
        share = Decimal(event.model_hits) / Decimal(event.model_scored)
        hits = (
            f"Right {event.model_hits} of {event.model_scored} times ({numbers.percent(share, places=0)}): forecasts "
            f"of the last {SCORED_FOR.days} days that have come due, whichever model was live. Right means over 50% "
            "and the price rose, or 50% and less and it did not."
        )
    return f"{line(event.model_version, 40)}, AUC {numbers.measure(event.model_auc)} (0.5 is luck). {hits}"


def _health_words(event: DailyReport) -> str:
    """One line where all is well, otherwise what is not."""
    well = Health.RUNNING.value
    ailing = [f"{line(name, 40)}: {line(state)}" for name, state in event.components if state != well]
    if event.health == well and not ailing:
        return f"All well ({numbers.count(len(event.components), 'part')})." if event.components else well
    return "\n".join([line(event.health, 40), *ailing])


def answer(given: OwnerAnswer, zone: ZoneInfo) -> Message:
    """What became of a command; where the owner must choose, each choice as a command to copy."""
    choices = "\n".join(
        f"#{entry.number} {_deed(entry)} @ {numbers.price(entry.price)}: {code(f'/executed #{entry.number}')}"
        for entry in given.candidates[:20]
    )
    hint = italic("Name one by its number, with quantity and price as you like.") if choices else ""
    return Message(paragraphs(sentence(given.text, zone, 1500) or "Done.", choices, hint))
