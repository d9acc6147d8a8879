"""Who may speak. Everybody is refused except the owner in his private chat (A1, A3, A4, A5); every entry is audited."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from telegram import Chat, Message, Update, User

from bot import ownership
from bot.hands import Hands
from bot.ownership import Identity
from bot.pairing import CodeOffer, Outcome, Pairing
from core.domain.events import StrangerSpoke
from core.domain.records import AuditRecord
from core.ports import Clock, UnitOfWorkFactory

_LOG = logging.getLogger(__name__)
_REMEMBERED_STRANGERS = 1000
_REFUSALS_AN_HOUR = 20
_HOUR = timedelta(hours=1)


class Standing(StrEnum):
    OWNER = "owner"
    STRANGER = "stranger"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Admission:
    """What the gate says; `words` is the one answer a stranger gets, if any. `paired` marks the owner's first entry."""

    standing: Standing
    words: str = ""
    paired: bool = False


def standing(update: Update, owner: Identity | None) -> Standing:
    """Pure judgement. Only fresh messages and button taps in private chats are heard at all; edited, forwarded and
    channel messages, groups, bots and messages in a chat's name are ignored, whoever is behind them."""
    user, chat = _speaker(update)
    if user is None or chat is None or user.is_bot or chat.type != Chat.PRIVATE:
        return Standing.IGNORED
    if owner is not None and (user.id, chat.id) == (owner.user_id, owner.chat_id):
        return Standing.OWNER
    return Standing.STRANGER


def _speaker(update: Update) -> tuple[User | None, Chat | None]:
    if update.callback_query is not None:
        message = update.callback_query.message
        return update.callback_query.from_user, message.chat if message else None
    message = update.message
    if message is None or not _is_own_words(message):
        return None, None
    return message.from_user, message.chat


def _is_own_words(message: Message) -> bool:
    """Whether the sender wrote this himself, just now, in his own name."""
    return (
        message.forward_origin is None
        and message.sender_chat is None
        and message.via_bot is None
        and message.edit_date is None
        and not message.is_automatic_forward
    )


class Gate:
    """Keeps the owner's identity and the strangers' traces. A fixed owner (settings, local phone) needs no pairing.

    `reader` gives units of work that only read and wait for nobody; without it the `ledger`'s are used.
    """

    def __init__(
        self,
        ledger: UnitOfWorkFactory,
        hands: Hands,
        clock: Clock,
        market_clock: Clock,
        pairing: Pairing,
        fixed_owner: Identity | None = None,
        reader: UnitOfWorkFactory | None = None,
    ) -> None:
        self._ledger = ledger
        self._hands = hands
        self._clock = clock
        self._market_clock = market_clock
        self._pairing = pairing
        self._fixed = fixed_owner
        self._reader = reader or ledger
        self._owner: Identity | None = None
        self._is_pairing = False
        self._strangers: OrderedDict[int, None] = OrderedDict()
        self._hour_began = clock.now()
        self._refusals = 0

    @property
    def owner(self) -> Identity | None:
        return self._owner

    def chat(self) -> int | None:
        """Where the owner is reached; None before he is known."""
        return self._owner.chat_id if self._owner else None

    async def open(self) -> None:
        """Reads who the owner is; where there is none, shows a pairing code on the console."""
        await self.refresh()
        if self._owner is None:
            self._pairing.offer()

    async def refresh(self) -> None:
        """Who the owner is by now: the server's console may have revoked him a moment ago (A9)."""
        if self._is_pairing:
            return
        owner = await self._hands.look(self._known_owner)
        if not self._is_pairing:
            self._owner = owner

    async def admit(self, update: Update) -> Admission:
        """Lets the owner in, pairs him, or says what a stranger is told. Never raises for anything in the update."""
        await self.refresh()
        judged = standing(update, self._owner)
        if judged is not Standing.STRANGER:
            return Admission(judged)
        user, chat = _speaker(update)
        if user is None or chat is None:
            return Admission(Standing.IGNORED)
        if self._owner is None and (code := _start_code(update)):
            return await self._pair(Identity(user.id, chat.id), code)
        return await self._refuse(user, update)

    async def audit(self, actor: str, action: str, outcome: str) -> None:
        """Writes one line of the audit (A7)."""
        await self._hands.change(self._write_audit, actor, action, outcome)

    async def _pair(self, candidate: Identity, code: str) -> Admission:
        offer = await self._hands.look(self._console_offer)
        if offer is not None:
            self._pairing.adopt(offer)
        outcome = self._pairing.attempt(code)
        if outcome is Outcome.PAIRED:
            # Set before the first await: a second message with the same code must not win as well.
            self._owner, self._is_pairing = candidate, True
            try:
                await self._hands.change(self._store_owner, candidate)
            finally:
                self._is_pairing = False
            await self.audit(f"user {candidate.user_id}", "pair", outcome.value)
            return Admission(Standing.OWNER, paired=True)
        await self.audit(f"user {candidate.user_id}", "pair", outcome.value)
        if outcome is Outcome.EXPIRED:
            self._pairing.offer()
            return Admission(Standing.STRANGER, "That code has expired. A new one is on the server's console.")
        if self._pairing.is_locked:
            return Admission(
                Standing.STRANGER,
                "Too many wrong codes: pairing is locked until the server's console offers a new one.",
            )
        return Admission(Standing.STRANGER, "That is not the code. It is on the server's console.")

    async def _refuse(self, user: User, update: Update) -> Admission:
        """Answers a stranger once; later ones cost neither a message nor a row."""
        if user.id in self._strangers or not self._may_refuse():
            return Admission(Standing.IGNORED)
        self._strangers[user.id] = None
        if len(self._strangers) > _REMEMBERED_STRANGERS:
            self._strangers.popitem(last=False)
        said = _summary(update)
        await self._hands.change(self._record_stranger, user.id, f"{user.full_name}: {said}")
        if self._owner is not None:
            return Admission(Standing.STRANGER, "This is a private bot; it answers its owner only.")
        self._pairing.offer()
        return Admission(
            Standing.STRANGER,
            "This bot serves one owner. If that is you: send /start CODE, with the code on its console.",
        )

    def _may_refuse(self) -> bool:
        """At most twenty first refusals an hour, so that a crowd of strangers cannot make us flood the owner."""
        now = self._clock.now()
        if now - self._hour_began >= _HOUR:
            self._hour_began, self._refusals = now, 0
        self._refusals += 1
        return self._refusals <= _REFUSALS_AN_HOUR

    def _known_owner(self) -> Identity | None:
        with self._reader() as work:
            return ownership.owner_of(work, self._fixed)

    def _console_offer(self) -> CodeOffer | None:
        with self._reader() as work:
            return ownership.offered(work)

    def _store_owner(self, owner: Identity) -> None:
        with self._ledger() as work:
            ownership.store_owner(work, owner, self._clock.now())
            work.commit("gate.owner")

    def _record_stranger(self, user_id: int, summary: str) -> None:
        """The owner is told; before there is one, the audit alone keeps it (he would be told about himself)."""
        with self._ledger() as work:
            work.audit(AuditRecord(self._clock.now(), f"user {user_id}", _clipped(summary), "refused"))
            if self._owner is not None:
                work.publish(StrangerSpoke(user_id, _clipped(summary)), market_time=self._market_clock.now())
            work.commit("gate.stranger")
        _LOG.warning("refused a message of user %s", user_id)

    def _write_audit(self, actor: str, action: str, outcome: str) -> None:
        with self._ledger() as work:
            work.audit(AuditRecord(self._clock.now(), actor, _clipped(action), _clipped(outcome)))
            work.commit("gate.audit")


def _start_code(update: Update) -> str:
    """The code in `/start CODE`, or nothing."""
    text = (update.message.text or "") if update.message else ""
    name, _, code = text.strip().partition(" ")
    return code.strip()[:64] if name.lower() == "/start" else ""


def _summary(update: Update) -> str:
    if update.callback_query is not None:
        return "tapped a button"
    if _start_code(update):
        return "sent /start with a code"
    text = (update.message.text or "something other than text") if update.message else ""
    return f"“{text[:100]}”"


def _clipped(text: str) -> str:
    """One line of at most 200 characters that any database and any terminal can take."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable.encode("utf-8", "replace").decode()[:200]
