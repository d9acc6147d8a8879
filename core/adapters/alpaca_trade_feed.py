"""alpaca-py's stream of an account's trades, tended: what it leaves out is added here. Imported only when it is wanted.

Written against alpaca-py 0.44. Its stream waits for ever for the first word of a server that says nothing, does not
wait for the word that it is listened to, asks on and on with keys that were refused, and takes every refusal for one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import warnings
from collections.abc import Callable
from typing import Any

with warnings.catch_warnings():
    # alpaca-py 0.44 stands on the older half of websockets, which says that it will go.
    warnings.filterwarnings("ignore", message=r"websockets\.legacy", category=DeprecationWarning)
    from alpaca.trading.stream import TradingStream
    from websockets.legacy.exceptions import InvalidStatusCode

from core.adapters.alpaca_socket import ELSEWHERE, GOODBYE, KEYS_REFUSED, Patience
from core.adapters.alpaca_transport import AlpacaKeys

UPDATES = "trade_updates"
NOT_GIVEN, NO_ANSWER, NO_WAY = "does not give this stream to this account", "does not answer", "cannot be reached"
TOO_MANY_REQUESTS = 429
# Acknowledgements of what we have just asked for ourselves: nothing has happened yet.
ON_THE_WAY = frozenset({"pending_new", "pending_cancel", "pending_replace"})


class TradeFeed(TradingStream):
    """All methods belong to its event loop; `trouble` and `is_listening` may be read from anywhere.

    `begun` is called when Alpaca says that from now on it tells of trades, `heard` whenever it does.
    """

    _ws: Any

    def __init__(
        self,
        keys: AlpacaKeys,
        patience: Patience,
        begun: Callable[[], None],
        heard: Callable[[], None],
        *,
        paper: bool,
        address: str | None = None,
    ) -> None:
        super().__init__(
            keys.key_id,
            keys.secret,
            paper=paper,
            raw_data=True,
            url_override=address,  # type: ignore[arg-type]  # its default is None
            websocket_params=dict(patience.connection()),
        )
        self._patience = patience
        self._begun = begun
        self._heard = heard
        self._reconnect_min_backoff = patience.first_retry
        self._reconnect_max_backoff = patience.longest_retry
        self.trouble = ""
        self.is_listening = False
        self._listening_since = math.inf
        self.subscribe_trade_updates(self._on_update)

    async def listen(self) -> None:
        """Until cancelled."""
        await self._run_forever()  # type: ignore[no-untyped-call]

    async def leave(self) -> None:
        """Waits for Alpaca's goodbye no longer than a moment."""
        await self.stop_ws()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self.close(), GOODBYE)

    async def close(self) -> None:
        """Alpaca's connection; `listen` makes the next."""
        self.is_listening = False
        await super().close()

    async def _start_ws(self) -> None:
        try:
            await asyncio.wait_for(self._enter(), self._patience.to_enter)
        except Exception as error:
            self.trouble = _words(error)
            raise
        self.trouble = ""

    async def _enter(self) -> None:
        """Connected, known, and told that we are listened to: what happens from then on is heard."""
        await super()._start_ws()  # type: ignore[no-untyped-call]
        while not self.is_listening:
            await self._dispatch(json.loads(await self._ws.recv()))
        self._begun()

    async def _auth(self) -> None:
        data = {"key_id": self._api_key, "secret_key": self._secret_key}
        await self._ws.send(json.dumps({"action": "authenticate", "data": data}))
        said = json.loads(await self._ws.recv())
        told = said.get("data") or {}
        if told.get("status") == "unauthorized":
            raise Refused(KEYS_REFUSED)
        if told.get("status") != "authorized":
            raise Refused(str(told.get("error") or told.get("message") or NO_ANSWER)[:100])

    async def _dispatch(self, msg: dict[str, Any]) -> None:
        if msg.get("stream") != "listening":
            await super()._dispatch(msg)
            return
        told = msg.get("data") or {}
        if UPDATES not in (told.get("streams") or ()):
            await self.close()
            raise Refused(str(told.get("error") or NOT_GIVEN)[:100])
        self.is_listening, self._listening_since = True, self._time()

    async def _on_update(self, message: dict[str, Any]) -> None:
        """Whatever is in it. Alpaca has sent updates without anything in them: those are a reason to look, too."""
        data = message.get("data")
        if not isinstance(data, dict) or data.get("event") not in ON_THE_WAY:
            self._heard()

    def _reconnect_delay(self, retries: int) -> float:
        if self.trouble == KEYS_REFUSED:
            return self._patience.after_refusal
        if self.trouble == ELSEWHERE:
            return self._patience.while_elsewhere
        # A connection that held is no failed try: alpaca-py counts it as one where nothing was traded meanwhile.
        has_held = self._time() - self._listening_since > self._patience.longest_retry
        return super()._reconnect_delay(1 if has_held else retries)

    def _time(self) -> float:
        return asyncio.get_running_loop().time()


class Refused(Exception):
    """Alpaca answered, and does not let us listen; the text says why."""


def _words(error: Exception) -> str:
    if isinstance(error, InvalidStatusCode):
        return ELSEWHERE if error.status_code == TOO_MANY_REQUESTS else f"HTTP {error.status_code}"
    if isinstance(error, Refused):
        return ELSEWHERE if "another connection" in str(error) else str(error)
    if isinstance(error, TimeoutError):
        return NO_ANSWER
    return NO_WAY if isinstance(error, OSError) else f"breaks off ({type(error).__name__})"
