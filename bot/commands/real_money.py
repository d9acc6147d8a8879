"""/realmoney: the owner's word that a live account may be traded, asked for and taken back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from bot import render_answers, render_real_money
from bot.commands import waiting
from bot.commands.second import refused
from bot.commands.talk import Reply, Request, Talk, reply
from bot.commands.waiting import Answer
from bot.confirmations import Confirmation, Outcome, Wants
from bot.markup import code, esc
from bot.message import Message, asking
from core.domain.real_money import is_phrase, phrase
from core.domain.views import AnswerKind

ASKED_REAL_MONEY = "real_money"
LIVES = timedelta(minutes=10)
_OFF = frozenset({"off", "stop", "no"})
_PAPER = (
    "There is no live account here, so no real money moves by itself. A live account needs ALPACA_PAPER=false and "
    "ALLOW_REAL_MONEY on the server."
)


async def real_money(talk: Talk, request: Request) -> Reply:
    """Asks for the phrase where it is missing, else says how it stands; `off` takes the word back."""
    view = await talk.hands.ask(talk.owner.real_money)
    if view is None:
        return reply(Message(_PAPER), "no live account")
    if request.words.strip().lower() in _OFF:
        answer = await talk.hands.change(talk.owner.stop_real_money, request.by)
        told = () if answer.kind is AnswerKind.DONE else (render_answers.answer(answer, talk.zone),)
        return Reply(told, answer.text)
    if not view.can_be_allowed:
        return reply(render_real_money.standing(view, talk.zone))
    payload = {"number": view.number}
    subject = f"Real money, account {view.number}"
    await waiting.ask(talk, request, ASKED_REAL_MONEY, subject, payload, wants=Wants.TEXT, lives=LIVES)
    chosen = await talk.hands.ask(talk.owner.chosen_mode)
    shown = render_real_money.asked_for_word(view, chosen, LIVES, with_code=talk.factor is not None)
    return reply(shown, f"asked for the word, account {view.number}")


async def _answered(talk: Talk, request: Request, asked: Confirmation) -> Reply:
    """Anything but the very phrase changes nothing and leaves the question open."""
    number = asked.payload["number"]
    said, given = _parted(request.words) if talk.factor is not None else (request.words, "")
    if not is_phrase(said, number):
        text = (
            f"Nothing was changed. To allow real money answer {code(esc(phrase(number)))}; /cancel leaves all as it is."
        )
        return reply(Message(text, asking(phrase(number))), "not the words")
    if talk.factor is not None:
        verdict = await talk.hands.change(talk.factor.check, given)
        if not verdict.passed:
            return refused(talk, verdict)
    answer = await talk.hands.change(talk.owner.allow_real_money, number, request.by)
    if answer.kind is not AnswerKind.REFUSED:
        await talk.hands.change(waiting.settle, talk, asked, Outcome.CONFIRMED)
    # A change is told by its own event.
    told = () if answer.kind is AnswerKind.DONE else (render_answers.answer(answer, talk.zone),)
    return Reply(told, answer.text, forgets=talk.factor is not None)


def _parted(text: str) -> tuple[str, str]:
    """The words, and the code behind them; none where the last word is no code."""
    words, _, last = text.strip().rpartition(" ")
    return (words, last) if words and last.isdecimal() else (text, "")


ANSWERS: Mapping[str, Answer] = {ASKED_REAL_MONEY: _answered}
