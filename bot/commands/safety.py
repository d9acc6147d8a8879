"""What holds trading back, in the owner's hand: /locks, /unlock, /flatten."""

from __future__ import annotations

from collections.abc import Mapping

from bot import menus, numbers, render_answers
from bot.commands import waiting
from bot.commands.talk import Reply, Request, Talk, reply
from bot.commands.waiting import Answer
from bot.confirmations import LIVES, Confirmation, Outcome, Wants
from bot.markup import bold, code, esc, paragraphs
from bot.message import Button, Message, asking
from bot.render_marks import account_name, all_badges
from bot.render_safety import scope_words
from core.domain.decisions import Brake, BrakeKind
from core.domain.values import plain
from core.domain.views import AnswerKind

ASKED_FLATTEN = "flatten"
WORD = "SELL"
_WORDS = frozenset({"sell", "sell everything", "flatten", "yes"})


async def locks(talk: Talk, _request: Request) -> Reply:
    """Every brake in force, each with a button that releases it."""
    standing = await talk.hands.ask(talk.owner.locks)
    if not standing:
        return reply(Message("🟢 No brake is in force: new entries are allowed."))
    texts = [_shown(brake, talk) for brake in standing]
    rows = tuple(
        (Button(f"Release: {_name(brake.kind)} {scope_words(brake.scope)}"[:60], _token(brake)),)
        for brake in standing
        if len(_token(brake).encode()) <= menus.LONGEST_TOKEN
    )
    return reply(Message(paragraphs("🛑 <b>Brakes in force</b>: no new entries; exits go on.", *texts), rows))


async def unlock(talk: Talk, request: Request) -> Reply:
    """Releases one brake by its kind and, where more than one is of that kind, its scope."""
    words = request.words.replace(" ", "-", 1).strip()
    wanted, _, scope = words.partition("-")
    standing = await talk.hands.ask(talk.owner.locks)
    fitting = [
        brake
        for brake in standing
        if wanted.lower() in (brake.kind.value, brake.kind.value.replace("_", "")) and scope in ("", brake.scope)
    ]
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
    lines = [
        f"{esc(position.symbol)} {esc(plain(position.quantity))}, {numbers.money(position.value)} "
        f"({esc(account_name(position.account))})"
        for position in view.positions
    ]
    title = f"🏳 {bold('Sell everything and block new entries?')} · {all_badges(view.accounts, view.badges)}"
    held = "\n".join(lines) or "Nothing is held at present."
    text = (
        "Sales go out at once where the market is open and wait for the open where it is not. In your manual account "
        f"you get a card for each.\nTo do it, answer {code(WORD)} within {numbers.span(LIVES)}; /cancel keeps all."
    )
    return reply(Message(paragraphs(title, held, text), asking(WORD)), "asked for the word")


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
    since = numbers.moment(brake.since, talk.zone)
    head = f"{bold(esc(_name(brake.kind)))} · {esc(scope_words(brake.scope))}"
    typed = code(esc(f"/unlock {brake.kind.value} {brake.scope}"))
    return f"{head}\n{esc(brake.reason)}\nsince {esc(since)}, {esc(until)}\n{typed}"


def _name(kind: BrakeKind) -> str:
    return kind.value.replace("_", " ")


def _token(brake: Brake) -> str:
    return menus.menu_token(f"unlock-{brake.kind.value}-{brake.scope}")


ANSWERS: Mapping[str, Answer] = {ASKED_FLATTEN: _answered}
