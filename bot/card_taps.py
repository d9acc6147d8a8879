"""A tap on a card: answered at once from what the ledger shows, then done by the writer, which judges again."""

from __future__ import annotations

from telegram import CallbackQuery
from telegram import Message as TelegramMessage

from bot import cards, render_answers, render_cards, render_why
from bot.cards import CardAction, CardToken
from bot.commands import fills
from bot.commands.talk import Talk
from bot.tapping import toast, with_buttons, without_buttons
from bot.voice import Voice
from core.domain.views import AnswerKind

LOOKED = "looked"


class CardTaps:
    def __init__(self, talk: Talk, voice: Voice) -> None:
        self._talk = talk
        self._voice = voice

    async def on_tap(self, query: CallbackQuery, token: CardToken) -> str:
        """What became of it, for the audit."""
        if token.action is CardAction.WHY:
            return await self._explain(query, token)
        problem = cards.staleness(token, await self._talk.hands.ask(self._talk.owner.pending))
        if problem is not None:
            await toast(query, problem, alert=True)
            await self._renew(query, token)
            return AnswerKind.STALE.value
        if token.action is CardAction.CHANGE:
            return await self._show_choices(query, token)
        if token.action is CardAction.PRICE:
            await toast(query, cards.toast(token))
            shown = query.message.message_id if query.message is not None else None
            await self._voice.answer(await fills.ask_price(self._talk, token.number, shown))
            return LOOKED
        if token.action is CardAction.BACK:
            await toast(query, "")
            await self._renew(query, token)
            return LOOKED
        return await self._perform(query, token)

    async def _perform(self, query: CallbackQuery, token: CardToken) -> str:
        await toast(query, cards.toast(token))
        answer = await self._talk.hands.change(cards.perform, self._talk.owner, token)
        if cards.needs_words(answer):
            await self._voice.say(render_answers.answer(answer, self._talk.zone))
        if answer.kind is AnswerKind.DONE and token.action not in cards.WISHES:
            await without_buttons(query)
        elif await self._is_copy(query, token):
            await self._renew(query, token)
        return answer.kind.value

    async def _explain(self, query: CallbackQuery, token: CardToken) -> str:
        """Also of a card that is over: the decision is on record."""
        why = await self._talk.hands.ask(self._talk.owner.explain, token.number)
        if why is None:
            await toast(query, f"There is no #{token.number}.", alert=True)
            return AnswerKind.STALE.value
        await toast(query, "")
        await self._voice.say(render_why.explanation(why, self._talk.zone))
        return LOOKED

    async def _show_choices(self, query: CallbackQuery, token: CardToken) -> str:
        offer = await self._talk.hands.ask(self._talk.owner.offer, token.number)
        if offer is None or offer.instruction.version != token.version:
            await toast(query, f"#{token.number} cannot be changed any more.", alert=True)
            return AnswerKind.STALE.value
        await toast(query, "")
        await with_buttons(query, cards.change_keyboard(offer))
        return LOOKED

    async def _is_copy(self, query: CallbackQuery, token: CardToken) -> bool:
        """Whether the tap was not on the card that events edit, but on one that /pending or a reminder has shown."""
        if not isinstance(query.message, TelegramMessage):
            return False

        def original() -> int | None:
            with self._talk.ledger() as work:
                row = work.card_message(token.number)
            return row.message_id if row is not None else None

        return query.message.message_id != await self._talk.hands.ask(original)

    async def _renew(self, query: CallbackQuery, token: CardToken) -> None:
        """The message of the button as its card stands now; one that is over must not look alive."""
        card = await self._talk.hands.ask(self._talk.owner.card, token.number)
        if card is None or not isinstance(query.message, TelegramMessage):
            await without_buttons(query)
            return
        await self._voice.change(query.message.message_id, render_cards.card(card, self._talk.zone, card.badges))
