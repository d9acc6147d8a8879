"""alpaca-py's streams of quotes, tended: what it leaves out is added here. Imported only when a stream is wanted.

Written against alpaca-py 0.44. Its stream waits for ever for the first word of a server that says nothing, keeps on
asking with keys that were refused, and forgets a subscription that comes while it connects.
"""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

with warnings.catch_warnings():
    # alpaca-py 0.44 stands on the older half of websockets, which says that it will go.
    warnings.filterwarnings("ignore", message=r"websockets\.legacy", category=DeprecationWarning)
    from alpaca.data.enums import DataFeed
    from alpaca.data.live.crypto import CryptoDataStream
    from alpaca.data.live.stock import StockDataStream

from core.adapters.alpaca_socket import ELSEWHERE, GOODBYE, KEYS_REFUSED, TOO_MANY, Patience

if TYPE_CHECKING:
    from alpaca.data.live.websocket import DataStream as _Base

    from core.adapters.alpaca_transport import AlpacaKeys
else:
    _Base = object


class _Tended(_Base):
    """Over one of alpaca-py's streams. All methods belong to its event loop; `trouble` may be read from anywhere."""

    trouble = ""

    def tend(
        self, patience: Patience, may_be_silent: Callable[[], bool], hear: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self._patience = patience
        self._may_be_silent = may_be_silent
        self._hear = hear
        self._subscribed: frozenset[str] = frozenset()
        self._reconnect_min_backoff = patience.first_retry
        self._reconnect_max_backoff = patience.longest_retry

    @property
    def _data_timeout(self) -> float | None:
        """After how long without data alpaca-py connects anew; asked by it again and again."""
        return None if self._may_be_silent() else self._patience.silence

    @_data_timeout.setter
    def _data_timeout(self, _: float | None) -> None:
        """Set once by alpaca-py itself, to what it was made with."""

    async def listen(self) -> None:
        """Until cancelled; ends by itself where the account may not have such a stream."""
        await self._run_forever()

    async def leave(self) -> None:
        """Waits for Alpaca's goodbye no longer than a moment: behind many unread quotes it takes its time."""
        await self.stop_ws()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self.close(), GOODBYE)

    async def want(self, names: Iterable[str]) -> None:
        """Subscribes to exactly `names`; what is not sent now is sent with the next connection."""
        wanted = set(names)
        quotes = self._handlers["quotes"]
        gone = [name for name in quotes if name not in wanted]
        for name in gone:
            del quotes[name]
        quotes.update(dict.fromkeys(wanted - quotes.keys(), self._on_quote))
        if self._running and self.trouble != TOO_MANY:
            if gone:
                await self._send_unsubscribe_msg("quotes", gone)
            if wanted - self._subscribed:
                await self._send_subscribe_msg()

    async def _on_quote(self, message: Any) -> None:
        self._hear(message)

    async def _start_ws(self) -> None:
        self._subscribed = frozenset()
        try:
            await asyncio.wait_for(super()._start_ws(), self._patience.to_enter)
        except TimeoutError:
            self.trouble = "does not answer"
            raise
        except Exception as error:
            self.trouble = str(error)[:100] or type(error).__name__
            raise
        self.trouble = ""

    async def _dispatch(self, message: Any) -> None:
        kind = message.get("T")
        if kind == "subscription":
            self._subscribed = frozenset(message.get("quotes") or ())
        elif kind == "error":
            self.trouble = str(message.get("msg"))[:100]
        await super()._dispatch(message)

    def _reconnect_delay(self, retries: int) -> float:
        if self.trouble == KEYS_REFUSED:
            return self._patience.after_refusal
        if self.trouble == ELSEWHERE:
            return self._patience.while_elsewhere
        return super()._reconnect_delay(retries)


class StockFeed(_Tended, StockDataStream):
    """Quotes of stocks."""


class CoinFeed(_Tended, CryptoDataStream):
    """Quotes of coins."""


def make_feed(kind: str, keys: AlpacaKeys, feed: str, address: str | None, patience: Patience) -> StockFeed | CoinFeed:
    """`kind` is stocks or coins; `address` where that stream is, if not at Alpaca's own."""
    how: dict[str, Any] = {
        "api_key": keys.key_id,
        "secret_key": keys.secret,
        "raw_data": True,
        "url_override": address,
        "websocket_params": dict(patience.connection()),
    }
    return StockFeed(feed=DataFeed(feed), **how) if kind == "stocks" else CoinFeed(**how)
