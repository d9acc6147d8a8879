"""What holds trading back, in the owner's hand: /locks, /unlock, /flatten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot import numbers, render_views
from bot.commands.talk import Reply, Request, Talk, reply
from bot.markup import bold, code, esc, paragraphs
from bot.message import Button, Message
from bot.render_marks import account_name
from bot.render_safety import scope_words
from core.domain.decisions import Brake, BrakeKind
from core.domain.values import plain
from core.domain.views import AnswerKind

BUTTON_LIVES = timedelta(minutes=5)
"""How long the button that sells everything counts, in the owner's own time."""


async def locks(talk: Talk, _request: Request) -> Reply:
    """Every brake in force, each with a button that releases it."""
    standing = await talk.hands.ask(talk.owner.locks)
    if not standing:
        return reply(Message("🟢 No brake is in force: new entries are allowed."))
    texts = [_shown(brake, talk) for brake in standing]
    rows = tuple(
        (Button(f"Release: {_name(brake.kind)} {scope_words(brake.scope)}"[:60], _token(brake)),)
        for brake in standing
        if len(_token(brake).encode()) <= render_views.LONGEST_TOKEN
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
    return Reply((render_views.answer(answer, talk.zone),), answer.text)


async def flatten(talk: Talk, request: Request) -> Reply:
    """Asks first; the button counts for a few minutes, the typed `/flatten yes` at once."""
    word, _, stamp = request.words.strip().lower().partition("-")
    if word != "yes":
        return await _ask(talk)
    if stamp and not _is_fresh(talk, stamp):
        return Reply((Message("That button is too old. Nothing was changed. Send /flatten again."),), "too old")
    answer = await talk.hands.brake(talk.owner.flatten, request.by)
    if answer.kind is not AnswerKind.DONE:
        return Reply((render_views.answer(answer, talk.zone),), answer.text)
    sold = await talk.hands.change(talk.owner.exit_all)
    return Reply((render_views.answer(answer, talk.zone), render_views.answer(sold, talk.zone)), answer.text)


async def _ask(talk: Talk) -> Reply:
    view = await talk.hands.ask(talk.owner.positions)
    lines = [
        f"{esc(position.symbol)} {esc(plain(position.quantity))}, {numbers.money(position.value)} "
        f"({esc(account_name(position.account))})"
        for position in view.positions
    ]
    held = "\n".join(lines) or "Nothing is held at present."
    stamp = int(talk.market_clock.now().timestamp())
    text = paragraphs(
        bold("Sell everything and block new entries?"),
        held,
        "Sales go out at once where the market is open and wait for the open where it is not. In your manual account "
        "you get a card for each. The button counts for five minutes.",
    )
    return reply(Message(text, ((Button("🛑 Sell everything", render_views.menu_token(f"flatten-yes-{stamp}")),),)))


def _is_fresh(talk: Talk, stamp: str) -> bool:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 11):
        return False
    asked = datetime.fromtimestamp(int(stamp), UTC)
    return timedelta(0) <= talk.market_clock.now() - asked <= BUTTON_LIVES * max(1.0, talk.market_clock.speed())


def _shown(brake: Brake, talk: Talk) -> str:
    until = f"until {numbers.moment(brake.until, talk.zone)}" if brake.until else "until you release it"
    since = numbers.moment(brake.since, talk.zone)
    head = f"{bold(esc(_name(brake.kind)))} · {esc(scope_words(brake.scope))}"
    typed = code(esc(f"/unlock {brake.kind.value} {brake.scope}"))
    return f"{head}\n{esc(brake.reason)}\nsince {esc(since)}, {esc(until)}\n{typed}"


def _name(kind: BrakeKind) -> str:
    return kind.value.replace("_", " ")


def _token(brake: Brake) -> str:
    return render_views.menu_token(f"unlock-{brake.kind.value}-{brake.scope}")
