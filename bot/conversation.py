"""One update from the gate to the answer: commands, menu buttons, card buttons, and what happens when one fails."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from telegram import Bot, CallbackQuery, Update
from telegram import Message as TelegramMessage
from telegram.error import TelegramError

from bot import cards, drafts, menus, questions, render_answers, render_drafts, render_status
from bot.card_taps import CardTaps
from bot.cards import CardToken
from bot.commands import waiting
from bot.commands.table import DEEDS, run_command, run_menu
from bot.commands.talk import ANSWERED, Reply, Request, Talk
from bot.confirmations import ConfirmToken
from bot.delivery import Delivery
from bot.drafts import DraftToken
from bot.expiring import Expiring
from bot.fenced_request import lease_lost_in
from bot.gate import Admission, Gate, Standing, standing
from bot.late import DEEDS as LATE_DEEDS
from bot.late import LateWords, raises_risk, unheard_tap
from bot.message import Message
from bot.questions import QuestionToken
from bot.tapping import actor, forget, replied_text, toast, without_buttons
from bot.transport import MayHaveArrived, NotSent, Transport, Undeliverable, markup_of
from bot.voice import Voice
from core.domain.events import ErrorRaised
from core.domain.views import AnswerKind
from core.errors import AutoTraderError, LeaseLost
from core.ports import UnitOfWorkFactory

_LOG = logging.getLogger(__name__)
BY_OWNER = "owner"
_REMEMBERED_UPDATES = 1000
_OLD_BUTTON = "This button is from an older version and does nothing any more."


class Conversation:
    """Remembers nothing of what was said, only which updates it saw and which errors it has told the owner of."""

    def __init__(
        self,
        talk: Talk,
        gate: Gate,
        transport: Transport,
        delivery: Delivery,
        ledger: UnitOfWorkFactory,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._talk = talk
        self._gate = gate
        self._expiring = Expiring(talk, transport)
        self._voice = Voice(transport, sleep, self._expiring.shown)
        self._delivery = delivery
        self._ledger = ledger
        self._cards = CardTaps(talk, self._voice)
        self._late = LateWords(talk, self._voice.say, sleep)
        self._told: set[str] = set()
        self._seen: OrderedDict[int, None] = OrderedDict()

    async def on_update(self, update: Update, context: Any) -> None:
        """Entry for every update; nothing is done for anybody but the owner.

        The same update can be handed out twice around a reconnection, so the last ones are remembered.
        """
        if update.update_id in self._seen:
            return
        self._seen[update.update_id] = None
        if len(self._seen) > _REMEMBERED_UPDATES:
            self._seen.popitem(last=False)
        admission = await self._gate.admit(update)
        if admission.standing is not Standing.OWNER:
            await self._turn_away(update, context.bot, admission)
            return
        # Any sign of the owner means that he can be reached again.
        self._delivery.retry_now()
        if update.callback_query is not None:
            await self._on_tap(update.callback_query)
        elif update.message is not None:
            await self._on_message(update.message, admission)
        # Behind the answer, which must not wait for the writer.
        await self._talk.hands.change(self._talk.owner.present)
        self._delivery.wake()

    async def expire(self) -> int:
        """What the owner did not answer in time says so; returns how much. Raises NotSent, Undeliverable."""
        return await self._expiring.look(self._voice.say)

    async def _turn_away(self, update: Update, bot: Bot, admission: Admission) -> None:
        if not admission.words or update.effective_chat is None:
            return
        # The owner is told of him at once, and not when the queue is next looked at.
        self._delivery.wake()
        try:
            await bot.send_message(update.effective_chat.id, admission.words)
        except TelegramError as error:
            _LOG.info("a stranger could not be answered: %s", type(error).__name__)

    async def _on_message(self, message: TelegramMessage, admission: Admission) -> None:
        speaker = actor(message.chat_id)
        if admission.paired:
            _, reply = await run_command(self._talk, "/start", BY_OWNER, "pairing")
            await self._voice.say(Message("🤝 Paired: from now on I listen to you alone."))
            await self._voice.answer(reply)
            return
        tap = f"message:{message.chat_id}:{message.message_id}"
        text = message.text or ""
        if self._late.is_late(message.date):
            action, reply = (
                f"late {text}",
                await self._late.answer(
                    message.date, text, Request(text, BY_OWNER, tap), lambda words: self._run(words, tap)
                ),
            )
        else:
            action, reply = await run_command(self._talk, text, BY_OWNER, tap, replied_text(message))
        await self._voice.answer(reply)
        if reply.forgets:
            await forget(message)
        await self._gate.audit(speaker, action, reply.outcome)

    async def _run(self, words: str, tap: str) -> Reply:
        _, reply = await run_command(self._talk, words, BY_OWNER, tap)
        return reply

    async def _on_tap(self, query: CallbackQuery) -> None:
        data = query.data or ""
        token = CardToken.parse(data)
        if token is not None:
            await self._on_card(query, token)
            return
        asked = QuestionToken.parse(data)
        if asked is not None:
            await self._on_question(query, asked)
            return
        confirmed = ConfirmToken.parse(data)
        if confirmed is not None:
            await self._on_confirmation(query, confirmed)
            return
        drafted = DraftToken.parse(data)
        if drafted is not None:
            await self._on_draft(query, drafted)
            return
        prefix, _, action = data.partition(":")
        if prefix != menus.MENU_PREFIX:
            await toast(query, _OLD_BUTTON, alert=True)
            return
        await self._on_menu(query, action)

    async def _on_card(self, query: CallbackQuery, token: CardToken) -> None:
        outcome = await self._cards.on_tap(query, token)
        await self._gate.audit(actor(query.from_user.id), f"tap {token.tap_key}", outcome)

    async def _on_question(self, query: CallbackQuery, token: QuestionToken) -> None:
        """Answered at once from what the ledger shows, then done by the writer, which judges again."""
        problem = questions.staleness(token, await self._talk.hands.ask(self._talk.owner.questions))
        await toast(query, problem or questions.toast(token), alert=problem is not None)
        outcome = AnswerKind.STALE
        if problem is None:
            answer = await self._talk.hands.change(questions.perform, self._talk.owner, token)
            outcome = answer.kind
            if cards.needs_words(answer):
                await self._voice.say(render_answers.answer(answer, self._talk.zone))
        if outcome in (AnswerKind.DONE, AnswerKind.STALE):
            await without_buttons(query)
        tap = f"tap {token.choice.value} Q{token.number} v{token.version}"
        await self._gate.audit(actor(query.from_user.id), tap, outcome.value)

    async def _on_confirmation(self, query: CallbackQuery, token: ConfirmToken) -> None:
        """Answered at once from what the ledger shows, then done by the writer, which judges again. A deed that was
        refused keeps its buttons: the same one tries again."""
        problem = await self._talk.hands.ask(waiting.staleness, self._talk, token)
        await toast(query, problem or ("Got it." if token.is_yes else "Dropped."), alert=problem is not None)
        outcome = AnswerKind.STALE
        if problem is None:
            answer = await self._talk.hands.change(waiting.answer, self._talk, token, {**DEEDS, **LATE_DEEDS})
            outcome = answer.kind
            await self._voice.say(render_answers.answer(answer, self._talk.zone))
        if outcome is not AnswerKind.REFUSED:
            await without_buttons(query)
        tap = f"tap {'confirm' if token.is_yes else 'cancel'} {token.token}"
        await self._gate.audit(actor(query.from_user.id), tap, outcome.value)

    async def _on_draft(self, query: CallbackQuery, token: DraftToken) -> None:
        """The card becomes its outcome, or asks a second time. One that was refused keeps its buttons."""
        draft = await self._talk.hands.ask(self._talk.owner.drafted, token.token)
        problem = drafts.staleness(token, draft)
        await toast(query, problem or drafts.toast(token), alert=problem is not None)
        outcome = AnswerKind.STALE
        if problem is None:
            answer = await self._talk.hands.change(drafts.perform, self._talk.owner, token, BY_OWNER)
            outcome = answer.answer.kind
            if outcome is AnswerKind.REFUSED:
                await self._voice.say(render_answers.answer(answer.answer, self._talk.zone))
            elif outcome in (AnswerKind.DONE, AnswerKind.AMBIGUOUS):
                # Of taps at the same moment the first one has its outcome on the card: the others leave it alone.
                await self._voice.replace(query, render_drafts.decided(answer, self._talk.zone))
        elif draft is None:
            await without_buttons(query)
        tap = f"tap {token.action.name.lower()} draft {token.token} v{token.version}"
        await self._gate.audit(actor(query.from_user.id), tap, outcome.value)

    async def _on_menu(self, query: CallbackQuery, token: str) -> None:
        """Pause and resume answer in the toast and turn the button under their message; the others answer in chat."""
        action = token.removesuffix(menus.IN_PLACE)
        in_place = action != token
        reply: Reply | None = None
        if raises_risk(action) and not await toast(query, "Got it."):
            reply = Reply((unheard_tap(action),), "late, not done")
            await self._voice.answer(reply)
        elif action in ("pause", "resume"):
            reply = await run_menu(self._talk, action, BY_OWNER, query.id)
            await toast(query, reply.outcome if reply else _OLD_BUTTON)
            await self._renew(query, in_place=in_place)
        else:
            reply = await self._on_other_button(query, action, in_place=in_place)
        await self._gate.audit(actor(query.from_user.id), f"tap {action}", reply.outcome if reply else "renewed")

    async def _on_other_button(self, query: CallbackQuery, action: str, *, in_place: bool) -> Reply | None:
        """Answers below, or `in_place` in the message of the button itself."""
        if action == "status" and in_place:
            await toast(query, "")
            await self._renew(query, in_place=True)
            return None
        if not in_place:
            await toast(query, "")
        reply = await run_menu(self._talk, action, BY_OWNER, query.id)
        if reply is None:
            reply = Reply((Message(_OLD_BUTTON),), "unknown button")
        elif in_place:
            await toast(query, "" if reply.outcome == ANSWERED else reply.outcome)
            await self._show_in_place(query, reply)
            return reply
        await self._voice.answer(reply)
        return reply

    async def _show_in_place(self, query: CallbackQuery, reply: Reply) -> None:
        if isinstance(query.message, TelegramMessage) and reply.messages:
            await self._voice.change(query.message.message_id, reply.messages[0])

    async def _renew(self, query: CallbackQuery, *, in_place: bool) -> None:
        """The status message as things are now; a message of another kind only gets its buttons turned."""
        view = await self._talk.hands.ask(self._talk.owner.status)
        if not isinstance(query.message, TelegramMessage):
            return
        if in_place:
            await self._voice.change(query.message.message_id, render_status.status(view, self._talk.zone))
            return
        try:
            await query.edit_message_reply_markup(markup_of(menus.menu(view.paused)))
        except TelegramError as error:
            _LOG.info("an old message stays as it was: %s", type(error).__name__)

    async def on_error(self, update: object, context: Any) -> None:
        """Logs, answers the owner who waits, and tells him once per cause what failed."""
        error: BaseException = context.error
        lost = error if isinstance(error, LeaseLost) else lease_lost_in(error)
        if lost is not None:
            _LOG.warning("an update was left to the process that holds the ledger now: %s", lost)
            return
        _LOG.error("an update failed: %s", type(error).__name__, exc_info=error)
        cause = f"{type(error).__name__} in {_place(error)}"
        if isinstance(update, Update) and standing(update, self._gate.owner) is Standing.OWNER:
            try:
                text = "⚠️ That did not work. The reason is in the log; /status shows how things are."
                await self._voice.say(Message(text))
            except (NotSent, Undeliverable) as unreachable:
                _LOG.info("the owner could not be told: %s", unreachable)
        if cause not in self._told and not isinstance(error, NotSent | MayHaveArrived | TelegramError):
            self._told.add(cause)
            await self._talk.hands.change(
                self._publish, cause, str(error) if isinstance(error, AutoTraderError) else ""
            )
            self._delivery.wake()

    def _publish(self, cause: str, words: str) -> None:
        event = ErrorRaised("bot", words or cause, "Your last command may not have been carried out; trading goes on.")
        with self._ledger() as work:
            work.publish(event, market_time=self._talk.market_clock.now())
            work.commit("bot.error")


def _place(error: BaseException) -> str:
    """Module and function where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).stem}.{frames[-1].name}" if frames else "unknown"
