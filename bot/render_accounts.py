"""What the accounts are worth and hold: their figures in other messages, and /positions. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from bot import numbers
from bot.markup import bold, line, paragraphs, table, visible
from bot.message import Message
from bot.render_hand import hand_buttons
from bot.render_marks import account_name, account_title, all_badges, first_line
from bot.render_trades import distance, position_guard_words
from core.domain.accounts import Badge
from core.domain.events import ReportAccount, ReportPosition
from core.domain.values import ZERO
from core.domain.views import PositionsView


def day_results(accounts: Sequence[ReportAccount]) -> str:
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


def account_block(account: ReportAccount, zone: ZoneInfo, *, short: bool) -> str:
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


def _source(account: ReportAccount, zone: ZoneInfo) -> str:
    """Where the figures of the manual account come from."""
    if account.confirmed_at is None:
        return "as you reported"
    return f"as you confirmed on {numbers.day(account.confirmed_at.astimezone(zone).date())}"


def positions(view: PositionsView, zone: ZoneInfo) -> Message:
    """Every position with its profit, protection and guard, then the cash."""
    total = _open_results(view.positions)
    held = numbers.count(len(view.positions), "position")
    title = first_line("📊", f"{held} {total}".strip(), all_badges(view.accounts, view.badges))
    marks = {account.account: account.badges for account in view.accounts}
    blocks = [_position_block(entry, marks, zone) for entry in view.positions]
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


def _position_block(entry: ReportPosition, marks: Mapping[str, tuple[Badge, ...]], zone: ZoneInfo) -> str:
    result = f"{numbers.signed_money(entry.profit)} ({numbers.signed_percent(entry.profit_fraction, places=2)})"
    rows = [
        ("Account", visible(account_title(entry.account, marks.get(entry.account, ())))),
        ("Held", numbers.quantity(entry.quantity)),
        ("Cost", _cost(entry)),
        ("Price", numbers.price(entry.price)),
        ("Value", numbers.money(entry.value)),
        ("Stop", distance(entry.stop, entry.price)),
        ("Target", distance(entry.target, entry.price)),
        ("Guard", position_guard_words(entry)),
    ]
    if entry.seen_at is not None:
        rows.append(("Last seen", f"{numbers.clock_time(entry.seen_at, zone)}; it does not answer"))
    return f"{bold(f'{line(entry.symbol, 20)} {result}')}\n{table(rows)}"


def _cost(entry: ReportPosition) -> str:
    """What one unit has cost, fees included."""
    return (
        f"{numbers.price((entry.value - entry.profit) / entry.quantity)} a unit" if entry.quantity else numbers.MISSING
    )


def _confirmed(account: ReportAccount, zone: ZoneInfo) -> str:
    return f"{account_title(account.account, account.badges)}: {_source(account, zone)}."
