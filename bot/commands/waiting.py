"""Asking before doing: cards with two buttons, questions that are answered in words, and /cancel.

A deed that was confirmed runs in the writer, in the same turn as the judgement that it still counts: of many taps the
first one wins. It carries the asking's own key, so that a tap after a crash meets what was done already. Where it is
refused the card stays open: the same button tries again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from bot import confirmations
from bot.commands.talk import Reply, Request, Talk
from bot.confirmations import LIVES, Confirmation, ConfirmToken, Outcome, Wants
from bot.markup import esc
from bot.message import Message
from core.domain.views import AnswerKind, OwnerAnswer
from core.execution.owner_drafts import LIFE as DRAFT_LIFE

Deed = Callable[[Talk, Confirmation], OwnerAnswer]
"""What a confirmed card does, in the writer. Safe to repeat by `Confirmation.tap_key`."""
Answer = Callable[[Talk, Request, Confirmation], Awaitable[Reply]]
"""What becomes of the text that answers a question."""


async def ask(
    talk: Talk,
    request: Request,
    kind: str,
    subject: str,
    payload: Mapping[str, str],
    *,
    wants: Wants = Wants.TAP,
    lives: timedelta = LIVES,
) -> Confirmation:
    """Writes down what is asked, before it is shown."""
    return await talk.hands.change(_ask, talk, request, kind, subject, payload, wants, lives)


def _ask(
    talk: Talk, request: Request, kind: str, subject: str, payload: Mapping[str, str], wants: Wants, lives: timedelta
) -> Confirmation:
    with talk.ledger() as work:
        made = confirmations.ask(work, kind, subject, payload, request.tap, talk.clock.now(), wants=wants, lives=lives)
        work.commit("confirmation")
    return made


def staleness(talk: Talk, token: ConfirmToken) -> str | None:
    """What the ledger says at once about a button; the writer judges again."""
    with talk.ledger() as work:
        return confirmations.staleness(confirmations.find(work, token.token), talk.clock.now())


def answer(talk: Talk, token: ConfirmToken, deeds: Mapping[str, Deed]) -> OwnerAnswer:
    """What a tap leads to; runs in the writer."""
    with talk.ledger() as work:
        asked = confirmations.find(work, token.token)
    problem = confirmations.staleness(asked, talk.clock.now())
    if problem is not None or asked is None:
        return OwnerAnswer(AnswerKind.STALE, problem or "")
    deed = deeds.get(asked.kind)
    if deed is None:
        return OwnerAnswer(AnswerKind.STALE, "This button is from another version and does nothing any more.")
    given = deed(talk, asked) if token.is_yes else OwnerAnswer(AnswerKind.DONE, f"{asked.subject}: dropped.")
    if given.kind is not AnswerKind.REFUSED:
        settle(talk, asked, Outcome.CONFIRMED if token.is_yes else Outcome.DROPPED)
    return given


def settle(talk: Talk, asked: Confirmation, outcome: Outcome) -> None:
    """Runs in the writer."""
    with talk.ledger() as work:
        confirmations.settle(work, asked.token, outcome)
        work.commit("confirmation")


async def typed(talk: Talk, request: Request, answers: Mapping[str, Answer]) -> Reply | None:
    """The answer to a plain text; None where no question waits for one. The question stays until it is settled."""
    asked = await talk.hands.ask(_newest, talk, Wants.TEXT)
    handler = answers.get(asked.kind) if asked is not None else None
    return None if asked is None or handler is None else await handler(talk, request, asked)


async def cancel(talk: Talk, request: Request) -> Reply:
    """Drops what was asked last: a question, a card that waits for a word, or a trade that was typed."""
    drafts = await talk.hands.ask(talk.owner.standing_drafts)
    newest = await talk.hands.ask(_newest, talk, None)
    if drafts and (newest is None or drafts[-1].expires_at - DRAFT_LIFE > newest.expires_at - LIVES):
        dropped = await talk.hands.change(talk.owner.drop, drafts[-1].token, request.by)
        return Reply((Message(f"✖️ {esc(dropped.text)}"),), dropped.text)
    asked = await talk.hands.change(_drop_newest, talk)
    if asked is None:
        return Reply((Message("Nothing waits for your confirmation. /pending shows instructions."),), "nothing waits")
    return Reply((Message(f"✖️ {esc(asked.subject)}: dropped. Nothing was changed."),), f"dropped {asked.subject}")


def _newest(talk: Talk, wants: Wants | None) -> Confirmation | None:
    with talk.ledger() as work:
        return confirmations.newest_open(work, talk.clock.now(), wants)


def _drop_newest(talk: Talk) -> Confirmation | None:
    with talk.ledger() as work:
        asked = confirmations.newest_open(work, talk.clock.now())
        if asked is not None:
            confirmations.settle(work, asked.token, Outcome.DROPPED)
            work.commit("confirmation")
    return asked
