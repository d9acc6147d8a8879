"""The Bot API methods the local phone serves, by name, and those that concern no message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from bot.localphone.api_media import MediaMethods
from bot.localphone.api_menu import MenuMethods
from bot.localphone.api_messages import MessageMethods, check_chat
from bot.localphone.conversation import OWNER_ID, Conversation
from bot.localphone.described import Described
from bot.localphone.files import FileBox
from bot.localphone.limits import RateLimits
from bot.localphone.marks import Marks
from bot.localphone.parameters import Parameters, Upload
from bot.localphone.polling import UpdateQueue
from bot.localphone.store import PhoneStore

Method = Callable[[Parameters], Awaitable[Any]]
_GIFTS = ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels")


class BotApi:
    """Every method takes Parameters and returns the `result`, or raises ApiError."""

    def __init__(
        self,
        bot: dict[str, Any],
        conversation: Conversation,
        updates: UpdateQueue,
        store: PhoneStore,
        files: FileBox,
        marks: Marks,
        limits: RateLimits | None = None,
    ) -> None:
        self._bot = bot
        self._updates = updates
        self._store = store
        self._marks = marks
        self._limits = limits
        self._described = Described()
        self._menu = MenuMethods(conversation, store)
        self._methods: dict[str, Method] = {
            "getMe": self._get_me,
            "getChat": self._get_chat,
            "getUpdates": self._get_updates,
            "deleteWebhook": self._delete_webhook,
            "getWebhookInfo": self._get_webhook_info,
            **self._menu.methods(),
            **MessageMethods(conversation, marks).methods(),
            **MediaMethods(conversation, files).methods(),
        }

    async def call(self, method: str, values: dict[str, Any], uploads: dict[str, Upload]) -> Any:
        name = self._described.method(method)
        parameters = self._described.read(name, values, uploads)
        if self._limits is not None:
            self._limits.check(name, parameters.text("chat_id"))
        return await self._methods[name](parameters)

    def menu(self) -> list[dict[str, str]]:
        """The commands the owner is offered."""
        return self._menu.offered()

    async def _get_me(self, _parameters: Parameters) -> dict[str, Any]:
        return self._bot

    async def _get_chat(self, parameters: Parameters) -> dict[str, Any]:
        check_chat(parameters)
        chat = {
            "id": OWNER_ID,
            "type": "private",
            "first_name": "Owner",
            "accent_color_id": 0,
            "max_reaction_count": 1,
            "accepted_gift_types": dict.fromkeys(_GIFTS, False),
        }
        pinned = self._marks.pinned()
        return chat | ({"pinned_message": pinned} if pinned is not None else {})

    async def _get_updates(self, parameters: Parameters) -> list[dict[str, Any]]:
        if "allowed_updates" in parameters:
            self._updates.allow(parameters.value("allowed_updates"))
        return await self._updates.get(
            parameters.integer("offset"), parameters.integer("limit", 100), parameters.integer("timeout")
        )

    async def _delete_webhook(self, parameters: Parameters) -> bool:
        if parameters.flag("drop_pending_updates"):
            self._store.forget_updates_but(0)
        return True

    async def _get_webhook_info(self, _parameters: Parameters) -> dict[str, Any]:
        return {"url": "", "has_custom_certificate": False, "pending_update_count": self._store.update_count()}
