"""The person at the local phone, without a browser: what the chat page sends, sent by hand."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import httpx

from bot.localphone.server import LocalPhone
from tests.contract.bot_api_spec import published


class Owner:
    """Opens the page with its key on entering, and sends the page's own requests."""

    def __init__(self, phone: LocalPhone) -> None:
        self._phone = phone
        self.origin = f"http://127.0.0.1:{phone.port}"
        self.http = httpx.AsyncClient(base_url=self.origin, trust_env=False, verify=False)

    async def __aenter__(self) -> Owner:
        (await self.http.get(self._phone.page_url)).raise_for_status()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def sends(self, text: str, *, reply_to: int | None = None) -> dict[str, Any]:
        return await self._post("/phone/send", {"text": text} | ({"reply_to": reply_to} if reply_to else {}))

    async def taps(self, message_id: int, data: str) -> str:
        return str((await self._post("/phone/tap", {"message_id": message_id, "data": data}))["id"])

    async def sees(self) -> list[dict[str, Any]]:
        """The newest messages, oldest first, as eyes read them: a space that does not break is a space."""
        messages = list((await self.state())["messages"])
        for message in messages:
            for part in ("text", "caption"):
                if part in message:
                    message[part] = message[part].replace("\u00a0", " ")
        return messages

    async def state(self) -> dict[str, Any]:
        """What the page shows; its messages are checked against the published description where there is one."""
        state = dict((await self.http.get("/phone/state")).raise_for_status().json())
        spec = published()
        for message in state["messages"] if spec is not None else ():
            spec.check_type("Message", message)
        return state

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.http.post(path, json=body, headers={"Origin": self.origin})
        return dict(answer.raise_for_status().json())
