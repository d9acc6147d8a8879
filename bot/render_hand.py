"""Cards that ask before a position is touched by hand: what, how much, at about which price, what it risks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from bot import numbers
from bot.markup import bold, code, line, paragraphs, table
from bot.menus import menu_token
from bot.message import Button, Keyboard, Message, asking
from bot.render_marks import account_title, fits_a_button, headline
from bot.render_trades import distance
from core.domain.accounts import Badge
from core.domain.events import ReportPosition
from core.domain.portfolio import GuardKind
from core.domain.values import ONE, ZERO

Held = tuple[ReportPosition, tuple[Badge, ...]]
"""A position with the badges of its account."""


def close_card(held: Sequence[tuple[ReportPosition, tuple[Badge, ...], Decimal]], fraction: Decimal) -> Message:
    """`held` are positions with their badges and the units that would be sold of each; buttons are the caller's."""
    symbol, marks = line(held[0][0].symbol, 20), _all(marks for _, marks, _ in held)
    part = "" if fraction == ONE else f" {numbers.percent(fraction, places=0 if fraction * 100 % 1 == 0 else 1)} of"
    profit = sum((_share(entry.profit, units, entry.quantity) for entry, _, units in held), ZERO)
    title = headline("🧾", f"{symbol}: sell{part} it, {numbers.signed_money(profit)}?", marks)
    return Message(paragraphs(title, *(_sale(*each) for each in held), _what_happens(held)))


def _sale(entry: ReportPosition, marks: tuple[Badge, ...], units: Decimal) -> str:
    rows = [
        ("Sell", f"{numbers.quantity(units)} of {numbers.quantity(entry.quantity)}"),
        ("At about", numbers.price(entry.price)),
        ("Value", numbers.money(units * entry.price)),
        ("Profit", numbers.signed_money(_share(entry.profit, units, entry.quantity))),
    ]
    if units < entry.quantity:
        rows.append(("Kept", numbers.quantity(entry.quantity - units)))
    return f"{bold(account_title(entry.account, marks))}\n{table(rows)}"


def _what_happens(held: Sequence[tuple[ReportPosition, tuple[Badge, ...], Decimal]]) -> str:
    sentences = ["The price may move until the sale."]
    at_venue = [entry for entry, _, _ in held if entry.guard is GuardKind.VENUE]
    if at_venue:
        rest = "" if all(units == entry.quantity for entry, _, units in held) else "; what is kept gets its own again"
        resting = "stop and target" if any(entry.target_rests for entry in at_venue) else "stop"
        are = "rest at the broker are" if resting != "stop" else "rests at the broker is"
        sentences.insert(0, f"The {resting} that {are} cancelled first{rest}.")
    if any(Badge.MANUAL in marks for _, marks, _ in held):
        sentences.append("In your own account a card asks you to sell it at your broker.")
    return " ".join(sentences)


def levels_card(held: Sequence[Held], stop: Decimal | None, target: Decimal | None) -> Message:
    """Before and after for each position, with the distance from the price and what is at risk; None stays as it is."""
    what = "stop" if target is None else "target" if stop is None else "stop and target"
    symbol, marks = line(held[0][0].symbol, 20), _all(marks for _, marks in held)
    level = numbers.price(stop if stop is not None else target)
    title = headline("🎚", f"{symbol}: move the {what} to {level}?", marks)
    return Message(paragraphs(title, *(_levels(entry, marks, stop, target) for entry, marks in held)))


def _levels(entry: ReportPosition, marks: tuple[Badge, ...], stop: Decimal | None, target: Decimal | None) -> str:
    rows = [("Price", numbers.price(entry.price)), ("Held", numbers.quantity(entry.quantity))]
    if stop is not None:
        rows += [("Stop now", distance(entry.stop, entry.price)), ("Stop then", distance(stop, entry.price))]
        rows += _result_rows(entry, "At the stop", stop)
    if target is not None:
        rows += [("Target now", distance(entry.target, entry.price)), ("Target then", distance(target, entry.price))]
        rows += _result_rows(entry, "At the target", target)
    return f"{bold(account_title(entry.account, marks))}\n{table(rows)}"


def _result_rows(entry: ReportPosition, when: str, level: Decimal) -> list[tuple[str, str]]:
    """What a sale at `level` would bring against now and against what was paid, before costs."""
    from_now = (level - entry.price) * entry.quantity
    name = "At risk" if level < entry.price else "To gain"
    return [(name, numbers.signed_money(from_now)), (when, f"{numbers.signed_money(entry.profit + from_now)} in all")]


def level_question(entry: ReportPosition, marks: tuple[Badge, ...], what: str) -> Message:
    """Asks for the number alone."""
    now = entry.stop if what == "stop" else entry.target
    title = headline("🎚", f"{line(entry.symbol, 20)}: new {what}?", marks)
    facts = table((("Price", numbers.price(entry.price)), (f"{what.capitalize()} now", distance(now, entry.price))))
    return Message(
        paragraphs(title, facts, "Answer with the price alone; /cancel leaves it as it is."),
        asking(numbers.price(now).replace(",", "") if now is not None else "495"),
    )


def hand_buttons(held: Sequence[ReportPosition]) -> Keyboard:
    """Under /positions: what can be done to each asset by hand; its levels stand below its name."""
    symbols = [symbol for symbol in dict.fromkeys(entry.symbol for entry in held) if fits_a_button(symbol)]
    return tuple(
        row
        for symbol in symbols
        for row in (
            (Button(f"🧾 Close {symbol}", menu_token(f"close-{symbol}")),),
            (Button("🎚 Stop", menu_token(f"stop-{symbol}")), Button("🎯 Target", menu_token(f"target-{symbol}"))),
        )
    )


def not_held(spoken: str, held: Iterable[ReportPosition], example: str) -> Message:
    """An asset that no account holds, or none was named; the ones that are held."""
    names = list(dict.fromkeys(entry.symbol for entry in held))
    listed = f"Held: {', '.join(line(name, 20) for name in names)}." if names else "Nothing is held at present."
    said = f"No account holds {line(spoken, 20)}." if spoken else "Which asset?"
    usage = f" For example {code(line(example.replace('SPY', names[0] if names else 'SPY'), 60))}"
    return Message(f"{said} {listed} Nothing was changed.{usage}")


def _share(profit: Decimal, units: Decimal, quantity: Decimal) -> Decimal:
    return profit * units / quantity if quantity else ZERO


def _all(marks: Iterable[tuple[Badge, ...]]) -> tuple[Badge, ...]:
    return tuple(dict.fromkeys(mark for each in marks for mark in each))
