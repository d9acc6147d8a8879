"""What the owner typed, shown before it is booked (M3), and what became of it. Pure."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from bot import numbers, render_answers, render_reasons
from bot.drafts import draft_keyboard
from bot.markup import italic, line, paragraphs, table
from bot.message import Message
from bot.render_marks import headline, time_label
from bot.render_trades import distance
from core.domain.drafts import Deed, Doubt, Draft, DraftAnswer, Preview, UndoDeed
from core.domain.orders import Side
from core.domain.values import ZERO
from core.domain.views import Correction, OwnTrade, ReportedFill


def drafted(answer: DraftAnswer, zone: ZoneInfo) -> Message:
    """The card that asks for a confirmation, or what was asked or refused instead."""
    if answer.draft is None or answer.preview is None:
        return render_answers.answer(answer.answer, zone)
    return _card(answer.draft, answer.preview, answer.doubts, zone)


def decided(answer: DraftAnswer, zone: ZoneInfo) -> Message:
    """What a card becomes after a tap: the outcome without buttons, or the question that is asked a second time."""
    if answer.draft is not None:
        return drafted(answer, zone)
    said = render_reasons.sentence(answer.answer.text, zone, 1500)
    if answer.badges:
        return Message(f"{headline('☑️', 'Booked', answer.badges)}\n{said}")
    return Message(f"☑️ {said}")


def _card(draft: Draft, preview: Preview, doubts: tuple[Doubt, ...], zone: ZoneInfo) -> Message:
    icon = "⚠️" if draft.asked else "📝"
    number = (f"#{preview.number}",) if preview.number is not None else ()
    title = headline(icon, f"{_title(draft.deed, preview, zone)}?", preview.badges, *number)
    warnings = "\n".join(f"⚠️ {render_reasons.sentence(doubt.text, zone)}" for doubt in doubts)
    end = f"Nothing is booked yet. The buttons count until {numbers.clock_time(draft.expires_at, zone)}, your time."
    return Message(
        paragraphs(
            title, _change(draft.deed, preview, zone), table(_rows(draft.deed, preview, zone)), warnings, italic(end)
        ),
        draft_keyboard(draft, doubts),
    )


def _title(deed: Deed, preview: Preview, zone: ZoneInfo) -> str:
    """SPY bought 10 @ 512.30; Undo; Correct; Deposit of $500.00. Escaped."""
    match deed:
        case ReportedFill() | OwnTrade():
            verb = "sold" if deed.side is Side.SELL else "bought"
            return (
                f"{line(deed.symbol or '', 20)} {verb} {numbers.quantity(deed.quantity)} @ {numbers.price(deed.price)}"
            )
        case Correction():
            return f"{line(preview.symbol, 20)} correct this fill".strip()
        case UndoDeed():
            return f"{line(preview.symbol, 20)} undo this booking".strip()
        case _:
            return line(render_reasons.words(f"{preview.what[:1].upper()}{preview.what[1:]}", zone), 120)


def _change(deed: Deed, preview: Preview, zone: ZoneInfo) -> str:
    """Which booking is taken back or replaced; what is booked anew stands in the title."""
    what, instead = (render_reasons.sentence(words, zone) for words in (preview.what, preview.instead))
    match deed:
        case Correction():
            return f"Before: {what}\nAfter: {instead}"
        case UndoDeed() if instead:
            return f"The correction is taken back.\nBefore: {what}\nAfter: {instead}"
        case UndoDeed():
            return f"Taken back: {what}"
        case _:
            return ""


def _rows(deed: Deed, preview: Preview, zone: ZoneInfo) -> list[tuple[str, str]]:
    rows = [("Cash", _pair(numbers.money(preview.cash[0]), numbers.money(preview.cash[1])))]
    if isinstance(deed, ReportedFill | OwnTrade):
        value = (deed.quantity or ZERO) * (deed.price or ZERO)
        rows = [("Value", numbers.money(value)), ("Fee", numbers.money(deed.fee or ZERO)), *rows]
    if preview.symbol:
        rows.append(("Held", _pair(*(numbers.quantity(units) for units in preview.units))))
    if preview.average_cost is not None:
        rows.append(("Cost", f"{numbers.price(preview.average_cost)} a unit"))
    if preview.symbol and preview.units[1] > 0:
        bought = deed.price if isinstance(deed, ReportedFill | OwnTrade) and deed.side is Side.BUY else None
        reference = bought or preview.average_cost or ZERO
        rows += [("Stop", distance(preview.stop, reference)), ("Target", distance(preview.target, reference))]
    if preview.profit:
        rows.append(("Result", numbers.signed_money(preview.profit)))
    if preview.rest is not None:
        rows.append(("Left open", numbers.quantity(preview.rest) if preview.rest else "nothing"))
    if preview.at is not None:
        rows.append((time_label(preview.badges), numbers.moment(preview.at, zone)))
    return rows


def _pair(before: str, after: str) -> str:
    return after if before == after else f"{before} → {after}"
