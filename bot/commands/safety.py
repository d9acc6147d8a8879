"""What holds trading back, in the owner's hand: /locks, /unlock, /flatten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot import menus, numbers, render_answers
from bot.commands import waiting
from bot.commands.talk import Reply, Request, Talk, reply
from bot.commands.waiting import Answer
from bot.confirmations import LIVES, Confirmation, Outcome, Wants
from bot.markup import bold, code, esc, line, paragraphs, table
from bot.message import Button, Message, asking
from bot.render_marks import account_name, all_badges, first_line
from bot.render_safety import brake_name, scope_words
from core.domain.accounts import AccountKind
from core.domain.decisions import Brake, BrakeKind
from core.domain.events import ReportPosition
from core.domain.views import AnswerKind

ASKED_FLATTEN = "flatten"
WORD = "SELL"
MANUAL = AccountKind.MANUAL.value
_WORDS = frozenset({"sell", "sell everything", "flatten", "yes"})


async def locks(talk: Talk, _request: Request) -> Reply:
    """Every brake in force, each with a button that releases it."""
    standing = await talk.hands.ask(talk.owner.locks)
    if not standing:
        return reply(Message(f"🟢 {bold('No brake is in force')}\nNew entries are allowed."))
    texts = [_shown(brake, talk) for brake in standing]
    rows = tuple(
        (Button(f"Release: {brake_name(brake.kind).lower()} {scope_words(brake.scope)}"[:60], _token(brake)),)
        for brake in standing
        if len(_token(brake).encode()) <= menus.LONGEST_TOKEN
    )
    title = bold(f"{numbers.count(len(standing), 'brake')} in force")
    return reply(Message(paragraphs(f"🛑 {title}\nNo new entries; exits and stops go on.", *texts), rows))


async def unlock(talk: Talk, request: Request) -> Reply:
    """Releases one brake by its kind and, where more than one is of that kind, its scope. That of an absence may be
    gone by the tap on its own button: the question that showed it was a sign of the owner."""
    words = request.words.replace(" ", "-", 1).strip()
    wanted, _, scope = words.partition("-")
    standing = await talk.hands.ask(talk.owner.locks)
    fitting = [
        brake
        for brake in standing
        if wanted.lower() in (brake.kind.value, brake.kind.value.replace("_", "")) and scope in ("", brake.scope)
    ]
    if not fitting and wanted.lower() in {kind.value for kind in BrakeKind}:
        text = f"The brake {brake_name(BrakeKind(wanted.lower())).lower()} is not in force: nothing had to be released."
        return Reply((Message(text),), "not in force")
    if len(fitting) != 1:
        why = "More than one brake fits" if fitting else "No brake in force is called that"
        return Reply((Message(f"{why}. Nothing was released. /locks shows them, each with a button."),), "unclear")
    answer = await talk.hands.brake(talk.owner.unlock, fitting[0].kind, fitting[0].scope, request.by)
    return Reply((render_answers.answer(answer, talk.zone),), answer.text)


async def flatten(talk: Talk, request: Request) -> Reply:
    """Asks for the word; the typed `/flatten yes` sells at once."""
    if request.words.strip().lower() == "yes":
        return await _sell_everything(talk, request.by)
    return await _ask(talk, request)


async def _sell_everything(talk: Talk, by: str) -> Reply:
    """The order to sell is committed first and waits for nobody, then as much is sold as can be now."""
    answer = await talk.hands.brake(talk.owner.flatten, by)
    if answer.kind is not AnswerKind.DONE:
        return Reply((render_answers.answer(answer, talk.zone),), answer.text)
    sold = await talk.hands.change(talk.owner.exit_all)
    return Reply((render_answers.answer(answer, talk.zone), render_answers.answer(sold, talk.zone)), answer.text)


async def _ask(talk: Talk, request: Request) -> Reply:
    view = await talk.hands.ask(talk.owner.positions)
    await waiting.ask(talk, request, ASKED_FLATTEN, "Selling everything", {}, wants=Wants.TEXT)
    title = first_line("🏁", "Sell everything?", all_badges(view.accounts, view.badges))
    held = [_held_in(account, view.positions) for account in dict.fromkeys(each.account for each in view.positions)]
    text = "Sold at once where the market is open, else at its open; nothing new is bought."
    if any(each.account == MANUAL for each in view.positions):
        text += " In your own account a card asks you for each."
    do_it = f"To do it, answer {code(WORD)} within {numbers.span(LIVES)}. /cancel keeps all."
    return reply(
        Message(paragraphs(title, *(held or ["Nothing is held at present."]), text, do_it), asking(WORD)),
        "asked for the word",
    )


def _held_in(account: str, held: Sequence[ReportPosition]) -> str:
    """What would be sold in one account."""
    rows = (
        (each.symbol, f"{numbers.quantity(each.quantity)} = {numbers.money(each.value)}")
        for each in held
        if each.account == account
    )
    return f"{bold(line(account_name(account), 40))}\n{table(rows)}"


async def _answered(talk: Talk, request: Request, asked: Confirmation) -> Reply:
    """Any other word sells nothing and leaves the question open."""
    if request.words.strip().lower().strip(".!\"'") not in _WORDS:
        text = f"Nothing was sold. To sell everything answer {code(WORD)}; /cancel keeps everything."
        return reply(Message(text, asking(WORD)), "not the word")
    done = await _sell_everything(talk, request.by)
    await talk.hands.change(waiting.settle, talk, asked, Outcome.CONFIRMED)
    return done


def _shown(brake: Brake, talk: Talk) -> str:
    until = f"until {numbers.moment(brake.until, talk.zone)}" if brake.until else "until you release it"
    if brake.kind is BrakeKind.AWAY:
        until = "until you write or tap anything"
    since = numbers.moment(brake.since, talk.zone)
    head = f"{bold(esc(brake_name(brake.kind)))} · {esc(scope_words(brake.scope))}"
    typed = code(esc(f"/unlock {brake.kind.value} {brake.scope}"))
    return f"{head}\n{esc(brake.reason)}\nsince {esc(since)}, {esc(until)}\n{typed}"


def _token(brake: Brake) -> str:
    return menus.menu_token(f"unlock-{brake.kind.value}-{brake.scope}")


ANSWERS: Mapping[str, Answer] = {ASKED_FLATTEN: _answered}
