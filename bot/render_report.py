"""The daily report. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from zoneinfo import ZoneInfo

from bot import numbers, render_skill
from bot.markup import bold, code, line, paragraphs, table, visible
from bot.message import Message
from bot.render_accounts import account_block, day_results
from bot.render_marks import account_title, all_badges, first_line
from bot.render_trades import position_guard_words
from core.domain.accounts import Badge
from core.domain.events import DailyReport, ReportPosition
from core.domain.views import Health
from core.reporting import SCORED_FOR


def report(event: DailyReport, zone: ZoneInfo) -> Message:
    """The day: value, profit, benchmark, positions, model, health, the ledger's head."""
    marks = tuple(dict.fromkeys(mark for account in event.accounts for mark in account.badges))
    title = first_line("📄", f"Report {day_results(event.accounts)}".strip(), all_badges(event.accounts, marks))
    period = f"{numbers.day(event.day)}\nReturns since {numbers.day(event.since.astimezone(zone).date())}"
    blocks = [account_block(account, zone, short=False) for account in event.accounts]
    account_marks = {account.account: account.badges for account in event.accounts}
    held = [_position_line(entry, account_marks) for entry in event.positions]
    return Message(
        paragraphs(
            f"{title}\n{period}",
            *blocks,
            *(held or [f"{bold('Positions')}\nNothing is held."]),
            f"{bold('Closed today')}\n{render_skill.closed(event.closed, zone)}" if event.closed else "",
            f"{bold('Model')}\n{_model_words(event)}",
            render_skill.live(event.skill, event.doubted, event.waiting),
            f"{bold('Health')}\n{_health_words(event)}",
            f"{bold('Ledger head')}, the seal on all so far\n{code(line(event.ledger_head, 64))}",
        )
    )


def _position_line(entry: ReportPosition, marks: Mapping[str, tuple[Badge, ...]]) -> str:
    result = f"{numbers.signed_money(entry.profit)} ({numbers.signed_percent(entry.profit_fraction, places=2)})"
    rows = (
        ("Held", f"{numbers.quantity(entry.quantity)} = {numbers.money(entry.value)}"),
        ("Account", visible(account_title(entry.account, marks.get(entry.account, ())))),
        ("Guard", position_guard_words(entry)),
    )
    return f"{bold(f'{line(entry.symbol, 20)} {result}')}\n{table(rows)}"


def _model_words(event: DailyReport) -> str:
    if event.model_version is None:
        return "– (not trained yet)"
    hits = "No forecast is old enough to be judged yet."
    if event.model_scored:
        share = Decimal(event.model_hits) / Decimal(event.model_scored)
        hits = (
            f"Right {event.model_hits} of {event.model_scored} times ({numbers.percent(share, places=0)}): forecasts "
            f"of the last {SCORED_FOR.days} days that have come due, whichever model was live. Right means over 50% "
            "and it came true, or 50% and less and it did not."
        )
    return f"{line(event.model_version, 40)}, AUC {numbers.measure(event.model_auc)} (0.5 is luck). {hits}"


def _health_words(event: DailyReport) -> str:
    """One line where all is well, otherwise what is not."""
    well = Health.RUNNING.value
    ailing = [f"{line(name, 40)}: {line(state)}" for name, state in event.components if state != well]
    if event.health == well and not ailing:
        return f"All well ({numbers.count(len(event.components), 'part')})." if event.components else well
    return "\n".join([line(event.health, 40), *ailing])
