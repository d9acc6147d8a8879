"""The one private chat between the owner and the bot: who may do what to which message."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from bot.localphone.content import FIELDS, Content, check_length
from bot.localphone.errors import ApiError, bad_request
from bot.localphone.feed import Feed
from bot.localphone.formatted import typed_by_owner, utf16_length
from bot.localphone.keyboards import Keyboard
from bot.localphone.marks import Marks
from bot.localphone.polling import UpdateQueue
from bot.localphone.store import PhoneStore
from core.ports import Clock

OWNER_ID = 1_000_001
"""The user id of the person at the page, which in a private chat is the chat's id too."""

CALLBACK_LIFETIME = timedelta(seconds=60)
"""How long a tap may be answered; the real server does not publish its limit, which is of this order."""

DELETABLE_FOR = timedelta(hours=48)
"""A bot can delete a message for that long (Bot API, deleteMessage)."""

_OWNER: dict[str, Any] = {"id": OWNER_ID, "is_bot": False, "first_name": "Owner", "language_code": "en"}
_CHAT: dict[str, Any] = {"id": OWNER_ID, "first_name": "Owner", "type": "private"}
_NOT_MODIFIED = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)
_QUERY_TOO_OLD = "query is too old and response timeout expired or query ID is invalid"
_MAX_ANSWER = 200
_REPLIED_TO = "message to be replied not found"

Change = Callable[[dict[str, Any]], Content | None]
"""From a message to its new content; None keeps it."""


class Conversation:
    """Messages are Message objects of the Bot API. Every change is stored first, then told to the open pages."""

    def __init__(
        self,
        bot: dict[str, Any],
        store: PhoneStore,
        updates: UpdateQueue,
        feed: Feed,
        clock: Clock,
        marks: Marks,
    ) -> None:
        self._bot = bot
        self._store = store
        self._updates = updates
        self._feed = feed
        self._clock = clock
        self._marks = marks

    def bot_sends(
        self, content: Content, keyboard: Keyboard, reply_to: int | None, extra: dict[str, Any]
    ) -> dict[str, Any]:
        """`extra` holds further Message fields. Raises ApiError for what is too long and a lost message replied to."""
        check_length(content, edit=False)
        body = self._body(self._bot) | content | extra
        if keyboard:
            body["reply_markup"] = {"inline_keyboard": keyboard}
        if reply_to is not None:
            body["reply_to_message"] = self._replied_to(reply_to)
        return self._add(body)

    def bot_pins(self, message_id: int) -> None:
        """A pinned message is announced in the chat by a message of its own. Raises ApiError."""
        message = self.message(message_id, "message to pin not found")
        if self._marks.pin(message_id):
            self._add(self._body(self._bot) | {"pinned_message": _without_reply(message)})

    def bot_asks(self, message_id: int, placeholder: str) -> None:
        """The page begins a reply to that message."""
        self._marks.ask(message_id, placeholder)

    def has_message(self, message_id: int) -> bool:
        return self._store.message(message_id) is not None

    def bot_edits(self, message_id: int, change: Change, keyboard: Keyboard) -> dict[str, Any]:
        """New content and new keyboard (none removes it), as one edit. Raises ApiError."""
        message = self.message(message_id, "message to edit not found")
        if message["from"]["id"] != self._bot["id"] or "pinned_message" in message:
            raise bad_request("Message can't be edited")
        edited = {name: value for name, value in message.items() if name not in ("reply_markup", "edit_date")}
        content = change(message)
        if content is not None:
            check_length(content, edit=True)
            edited = {name: value for name, value in edited.items() if name not in FIELDS} | content
        if keyboard:
            edited["reply_markup"] = {"inline_keyboard": keyboard}
        if edited == {name: value for name, value in message.items() if name != "edit_date"}:
            raise bad_request(_NOT_MODIFIED)
        edited["edit_date"] = self._unix_time()
        with self._store.transaction():
            self._store.replace_message(edited)
        self._feed.publish("edit", edited)
        return edited

    def bot_deletes(self, message_id: int) -> None:
        """Raises ApiError for an unknown message and for one older than DELETABLE_FOR."""
        message = self.message(message_id, "message to delete not found")
        if self._unix_time() - message["date"] > DELETABLE_FOR.total_seconds():
            raise bad_request("message can't be deleted for everyone")
        with self._store.transaction():
            self._store.delete_message(message_id)
        self._feed.publish("delete", {"message_id": message_id})
        self._marks.forget(message_id)

    def bot_answers(self, callback_id: str, text: str, show_alert: bool) -> None:
        """Ends the spinner on the tapped button; a text is shown briefly, an alert until dismissed. Raises ApiError."""
        if utf16_length(text) > _MAX_ANSWER:
            raise bad_request("MESSAGE_TOO_LONG")
        with self._store.transaction():
            message_id = self._store.callback(callback_id, self._clock.now() - CALLBACK_LIFETIME)
        if message_id is None:
            raise bad_request(_QUERY_TOO_OLD)
        self._feed.publish("answer", {"id": callback_id, "text": text, "show_alert": show_alert})

    def bot_acts(self, action: str) -> None:
        self._feed.publish("action", {"action": action})

    def bot_offers(self, commands: list[dict[str, str]]) -> None:
        """The command menu has changed."""
        self._feed.publish("commands", {"commands": commands})

    def owner_sends(self, text: str, reply_to: int | None = None) -> dict[str, Any]:
        """Raises ApiError for a text that is empty or too long, and for a lost message replied to."""
        typed = typed_by_owner(text)
        content: Content = {"text": typed.text} | ({"entities": list(typed.entities)} if typed.entities else {})
        check_length(content, edit=False)
        body = self._body(_OWNER) | content
        if reply_to is not None:
            body["reply_to_message"] = self._replied_to(reply_to)
        with self._store.transaction():
            message = self._store.add_message(body)
            self._updates.put("message", message)
        self._updates.wake()
        self._feed.publish("message", message)
        self._marks.asked_no_more()
        return message

    def owner_taps(self, message_id: int, data: str) -> str:
        """The id of the callback query. Raises ApiError where the button is no longer there."""
        message = self.message(message_id, "message not found")
        rows: Keyboard = message.get("reply_markup", {}).get("inline_keyboard", [])
        if not any(button.get("callback_data") == data for row in rows for button in row):
            raise ApiError(409, "Conflict: this button is no longer there")
        callback_id = str(secrets.randbits(62))
        query = {
            "id": callback_id,
            "from": _OWNER,
            "message": message,
            "chat_instance": str(OWNER_ID),
            "data": data,
        }
        with self._store.transaction():
            self._store.add_callback(callback_id, message_id, self._clock.now())
            self._updates.put("callback_query", query)
        self._updates.wake()
        return callback_id

    def message(self, message_id: int, otherwise: str) -> dict[str, Any]:
        """Raises ApiError with the words `otherwise` where there is none."""
        message = self._store.message(message_id)
        if message is None:
            raise bad_request(otherwise)
        return message

    def _replied_to(self, message_id: int) -> dict[str, Any]:
        return _without_reply(self.message(message_id, _REPLIED_TO))

    def _add(self, body: dict[str, Any]) -> dict[str, Any]:
        with self._store.transaction():
            message = self._store.add_message(body)
        self._feed.publish("message", message)
        return message

    def _body(self, sender: dict[str, Any]) -> dict[str, Any]:
        person = {name: value for name, value in sender.items() if not name.startswith(("can_", "supports_", "has_"))}
        return {"from": person, "chat": _CHAT, "date": self._unix_time()}

    def _unix_time(self) -> int:
        return int(self._clock.now().timestamp())


def _without_reply(message: dict[str, Any]) -> dict[str, Any]:
    """A message inside of another shows nothing further inside."""
    return {name: value for name, value in message.items() if name not in ("reply_to_message", "pinned_message")}
