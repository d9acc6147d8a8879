"""/model: the model in use, how good it is, what became of those before it; and the way back to one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bot import numbers, render_answers, render_model
from bot.commands import waiting
from bot.commands.talk import Reply, Request, Talk, reply
from bot.commands.waiting import Deed
from bot.confirmations import Confirmation, confirm_keyboard
from bot.message import Attachment, Message
from bot.model_desk import ModelDesk
from bot.model_picture import picture
from core.domain.decisions import ModelState
from core.domain.views import AnswerKind, OwnerAnswer
from core.strategy.policy import Strategy
from jobs.going_back import HOLDS

BACK: Final = "model back"
NAME = "model.png"
_WORDS = re.compile(r"[\s-]+")


async def model(talk: Talk, request: Request) -> Reply:
    """`/model`, `/model picture`, `/model back f0123456789a`, `/model on`, `/model train`."""
    if talk.models is None:
        return reply(Message("🧠 No models are kept here."))
    verb, rest = [*_WORDS.split(request.words.strip(), maxsplit=1), ""][:2]
    match verb.lower():
        case "":
            by_rule = talk.book.current.strategy is Strategy.RULE
            return reply(render_model.model(await talk.hands.ask(talk.models.view), talk.zone, by_rule=by_rule))
        case "picture":
            return await _picture(talk, talk.models)
        case "back":
            return await _ask(talk, talk.models, request, rest)
        case "on":
            answer = await talk.hands.change(talk.models.let_go)
            return Reply((render_answers.answer(answer, talk.zone),), answer.text)
        case "train":
            return await _train(talk, talk.models)
        case _:
            return reply(Message("/model takes no words, or: picture, back with a version, on, train."), "unclear")


async def _picture(talk: Talk, models: ModelDesk) -> Reply:
    view = await talk.hands.ask(models.view)
    if not view.scored:
        return reply(Message("📈 No forecast has come due yet: there is nothing to draw."))
    drawn = await talk.hands.ask(picture, view.scored, view.changes)
    text = render_model.caption(view.scored)
    return reply(Message(text, attachment=Attachment(NAME, drawn, is_picture=True)))


async def _ask(talk: Talk, models: ModelDesk, request: Request, words: str) -> Reply:
    view = await talk.hands.ask(models.view)
    wanted = await talk.hands.ask(models.found, words) if words else view.former
    if wanted is None or view.model is None:
        return reply(render_model.unknown(words), "unknown")
    if wanted.version == view.model.version:
        return reply(Message(f"Model {wanted.version} is in use already."), "in use already")
    if wanted.state is ModelState.REJECTED:
        text = f"Model {wanted.version} was set aside when it was trained: there is no way back to it."
        return reply(Message(text), "was never in use")
    payload = {"version": wanted.version, "instead_of": view.model.version}
    asked = await waiting.ask(talk, request, BACK, f"Going back to model {wanted.version}", payload)
    text = render_model.question(view.model, wanted, numbers.span(HOLDS), talk.zone)
    return reply(Message(text, confirm_keyboard(asked, f"⏪ Go back to {wanted.version}"[:40])), "asked first")


def _go_back(talk: Talk, asked: Confirmation) -> OwnerAnswer:
    """In the writer: judged again, because a refit may have gone live since."""
    if talk.models is None:
        return OwnerAnswer(AnswerKind.REFUSED, "No models are kept here.")
    return talk.models.go_back(asked.payload["version"], asked.payload["instead_of"], "owner")


async def _train(talk: Talk, models: ModelDesk) -> Reply:
    view = await talk.hands.ask(models.view)
    if view.held is not None:
        return reply(Message("Training waits, because you went back to this model. ▶️ Train on in /model lets go."))
    if not models.train_now():
        return reply(Message("🎓 Training is under way already."), "under way")
    return reply(
        Message("🎓 Training now. You are told of a new model; /model shows what became of it."), "training begun"
    )


DEEDS: Mapping[str, Deed] = {BACK: _go_back}
