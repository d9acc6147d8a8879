"""Everything at a glance: /status and the live message. Pure."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from bot import menus, numbers, render_real_money
from bot.markup import bold, line, paragraphs, table
from bot.message import Message
from bot.render_accounts import account_block, day_results
from bot.render_broker import why_manual
from bot.render_marks import all_badges, first_line
from bot.render_reasons import sentence, words
from bot.render_safety import brake_name, scope_words
from core.domain.views import ComponentHealth, Health, StatusView
from core.errors import NEXT_TRY
from core.feed.backfill import LEFT

_HEALTH_ICONS = {Health.RUNNING: "💚", Health.DEGRADED: "🟠", Health.HALTED: "🛑"}


def status(view: StatusView, zone: ZoneInfo) -> Message:
    """Everything at a glance: health, day's profit and badge first, then what I am doing, then the money."""
    icon = _HEALTH_ICONS[view.health]
    state = f"{view.health.value}{', PAUSED' if view.paused else ''}"
    title = first_line(icon, f"{state} {day_results(view.accounts)}".strip(), all_badges(view.accounts, view.badges))
    return Message(
        paragraphs(
            title,
            _pause_words(view, zone),
            f"✋ {why_manual(view.fallback, zone)}" if view.fallback is not None else "",
            _brake_words(view, zone),
            render_real_money.status_words(view.real_money, zone),
            _worries(view, zone),
            table(_engine_rows(view, zone)),
            *(account_block(account, zone, short=True) for account in view.accounts),
            f"Last signal: {_last_signal(view, zone)}",
            _clock_words(view, zone),
        ),
        menus.menu(view.paused, under_status=True),
    )


def _pause_words(view: StatusView, zone: ZoneInfo) -> str:
    if not view.paused:
        return ""
    until = "until you send /resume"
    if view.paused_until:
        market = " market time" if view.simulated_prices else ""
        until = f"until {numbers.moment(view.paused_until, zone)}{market}"
    return f"⏸ Paused {until}: no new entries, open positions stay guarded."


def _brake_words(view: StatusView, zone: ZoneInfo) -> str:
    """What holds new entries back beside a pause, in the words of /locks, which releases it."""
    if not view.brakes:
        return ""
    lines = [
        f"🛑 {bold(f'{brake_name(brake.kind)}, {line(scope_words(brake.scope), 40)}')}: {sentence(brake.reason, zone)}"
        for brake in view.brakes
    ]
    return "\n".join([*lines, "No new entries meanwhile; exits go on. /locks releases it."])


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


def _goes_on(part: ComponentHealth) -> bool:
    """Whether it is well and has work before it that the owner may want to see going on."""
    return part.state is Health.RUNNING and LEFT in part.reason


def _waits(part: ComponentHealth) -> bool:
    """Whether it is given patience, and has said when it tries again."""
    return part.state is Health.RUNNING and NEXT_TRY in part.reason


def _worries(view: StatusView, zone: ZoneInfo) -> str:
    lines = [
        f"{_HEALTH_ICONS[part.state]} {line(part.name, 40)}: {line(words(part.reason, zone))} "
        f"(since {numbers.clock_time(part.since, zone)})"
        for part in view.components
        if part.state is not Health.RUNNING
    ]
    lines += [
        f"🧩 {line(part.name, 40)}: {line(words(part.reason, zone))}" for part in view.components if _goes_on(part)
    ]
    lines += [f"⏳ {line(part.name, 40)}: {line(words(part.reason, zone))}" for part in view.components if _waits(part)]
    if view.unguarded:
        lines.append(f"🚨 {numbers.count(view.unguarded, 'position')} without a stop")
    if view.undelivered_messages:
        lines.append(f"📮 {numbers.count(view.undelivered_messages, 'message')} not delivered yet")
    return "\n".join(lines)
