"""What a bot can put on messages without changing them: a pin, a reaction, a question that waits for a reply."""

from __future__ import annotations

import json
from typing import Any

from telegram.constants import ReactionEmoji

from bot.localphone.errors import bad_request
from bot.localphone.feed import Feed
from bot.localphone.store import PhoneStore

_PINS, _ASKED = "pins", "asked"
_EMOJI = frozenset(str(emoji.value) for emoji in ReactionEmoji)


class Marks:
    """Kept in the store and told to the open pages."""

    def __init__(self, store: PhoneStore, feed: Feed) -> None:
        self._store = store
        self._feed = feed

    def pins(self) -> list[int]:
        """Ids of the pinned messages, oldest first."""
        return list(json.loads(self._store.setting(_PINS) or "[]"))

    def pinned(self) -> dict[str, Any] | None:
        """The newest pinned message."""
        pins = self.pins()
        return self._store.message(pins[-1]) if pins else None

    def pin(self, message_id: int) -> bool:
        """False where it is pinned already."""
        pins = self.pins()
        if message_id in pins:
            return False
        self._set_pins(sorted([*pins, message_id]))
        return True

    def unpin(self, message_id: int | None) -> None:
        """The one named, else the newest. Raises ApiError where there is none to unpin."""
        pins = self.pins()
        if message_id is None and not pins:
            raise bad_request("Message to unpin not found")
        gone = pins[-1] if message_id is None else message_id
        self._set_pins([pin for pin in pins if pin != gone])

    def unpin_all(self) -> None:
        self._set_pins([])

    def react(self, message_id: int, reactions: list[dict[str, Any]]) -> None:
        """A bot has at most one reaction on a message; none takes it away. Raises ApiError."""
        if len(reactions) > 1:
            raise bad_request("REACTIONS_TOO_MANY")
        emoji = reactions[0].get("emoji", "") if reactions else ""
        if reactions and emoji not in _EMOJI:
            raise bad_request("REACTION_INVALID")
        with self._store.transaction():
            self._store.set_reaction(message_id, emoji)
        self._feed.publish("reaction", {"message_id": message_id, "emoji": emoji})

    def asked(self) -> dict[str, Any] | None:
        """The question the page puts the cursor under: `message_id` and `placeholder`."""
        asked = self._store.setting(_ASKED)
        return dict(json.loads(asked)) if asked else None

    def ask(self, message_id: int, placeholder: str) -> None:
        question = {"message_id": message_id, "placeholder": placeholder}
        self._store.set_setting(_ASKED, json.dumps(question))
        self._feed.publish("ask", question)

    def asked_no_more(self) -> None:
        if self.asked() is not None:
            self._store.set_setting(_ASKED, "")
            self._feed.publish("ask", {"message_id": None, "placeholder": ""})

    def forget(self, message_id: int) -> None:
        """The message is gone."""
        if message_id in self.pins():
            self.unpin(message_id)
        asked = self.asked()
        if asked is not None and asked["message_id"] == message_id:
            self.asked_no_more()

    def _set_pins(self, pins: list[int]) -> None:
        if pins != self.pins():
            self._store.set_setting(_PINS, json.dumps(pins))
            self._feed.publish("pin", {"message": self.pinned()})
