"""Alpaca's market data on loopback as alpaca-py 0.44 meets it: bars in pages, latest quotes and trades, corporate
actions. Answers are held to Alpaca's published description in tests/contract."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from core.domain.bars import Bar, BarSize
from core.series import BarSeries, seconds_of, time_of
from tests.servers.alpaca_http import AlpacaHttp, Call, Refusal

NEW_YORK = ZoneInfo("America/New_York")
FRAMES = {"1Min": BarSize.M1, "5Min": BarSize.M5, "30Min": BarSize.H1, "1Hour": BarSize.H1, "1Day": BarSize.D1}
MOST_IN_A_PAGE = 10_000
STOCK_SYMBOL, COIN_SYMBOL = re.compile(r"[A-Z]{1,7}(\.[A-Z]{1,2})?"), re.compile(r"[A-Z0-9]{2,10}/USD")
ACTION_KINDS = {"cash_dividend": "cash_dividends", "forward_split": "forward_splits", "reverse_split": "reverse_splits"}
Row = dict[str, Any]


def yahoo_name(name: str) -> str:
    return name.replace("/", "-").replace(".", "-")


class AlpacaDataServer(AlpacaHttp):
    """`series` holds what Alpaca knows by our symbol and size, prices adjusted for all splits; `splits` tells of them:
    date, new units for one old. `quotes` are bid, ask and time by our symbol, `trades` price and time; without one,
    what the newest bar says. `actions` are rows of corporate actions by kind. `raw` replaces the rows of a symbol."""

    def __init__(self, series: Mapping[tuple[str, BarSize], BarSeries], now: Callable[[], datetime]) -> None:
        super().__init__(now)
        self.series = dict(series)
        self.quotes: dict[str, tuple[float, float, datetime]] = {}
        self.trades: dict[str, tuple[float, datetime]] = {}
        self.splits: dict[str, list[tuple[date, float]]] = {}
        self.actions: dict[str, list[Row]] = {}
        self.raw: dict[str, list[Row]] = {}
        self.extended_price: float | None = None
        self.has_sip = False
        self.page = MOST_IN_A_PAGE

    def __enter__(self) -> AlpacaDataServer:
        super().__enter__()
        return self

    def is_open_to(self, call: Call) -> bool:
        """Coins' prices are free for all; wrong keys are refused there, too."""
        if call.path.startswith("/v1beta3/crypto/") and call.key_id is None:
            return True
        return super().is_open_to(call)

    def respond(self, call: Call) -> Any:
        path = call.path
        if path == "/v2/stocks/bars":
            return self._bars(call, STOCK_SYMBOL)
        if path == "/v1beta3/crypto/us/bars":
            return self._bars(call, COIN_SYMBOL)
        if path in ("/v2/stocks/quotes/latest", "/v1beta3/crypto/us/latest/quotes"):
            return {"quotes": dict(self._latest(call, self._quote_of))}
        if path in ("/v2/stocks/trades/latest", "/v1beta3/crypto/us/latest/trades"):
            return {"trades": dict(self._latest(call, self._trade_of))}
        if path == "/v1/corporate-actions":
            return self._actions(call)
        raise Refusal(404, "endpoint not found.")

    def _symbols(self, call: Call, shape: re.Pattern[str]) -> list[str]:
        names = [name for name in call.query.get("symbols", "").split(",") if name]
        if not names:
            raise Refusal(400, "symbols is required")
        for name in names:
            if not shape.fullmatch(name):
                raise Refusal(400, f"invalid symbol: {name}")
        return names

    def _bars(self, call: Call, shape: re.Pattern[str]) -> Any:
        names = self._symbols(call, shape)
        frame, limit = call.query.get("timeframe", ""), int(call.query.get("limit", 1_000))
        if frame not in FRAMES:
            raise Refusal(400, f"invalid timeframe: {frame}")
        if not 1 <= limit <= MOST_IN_A_PAGE:
            raise Refusal(400, "invalid limit: must be between 1 and 10000")
        start, end = _time(call.query["start"]), _time(call.query.get("end") or self.now().isoformat())
        if end < start:
            raise Refusal(400, "end should not be before start")
        self._refuse_feed(call, end)
        rows = [(name, row) for name in sorted(names) for row in self._rows(name, frame, call.query)]
        first, last = _text(start), _text(end)
        rows = [(name, row) for name, row in rows if first <= row["t"] <= last]
        begin = _after(rows, call.query.get("page_token"))
        shown = rows[begin : begin + min(limit, self.page)]
        bars: dict[str, list[Row]] = {}
        for name, row in shown:
            bars.setdefault(name, []).append(row)
        more = begin + len(shown) < len(rows)
        return {"bars": bars, "next_page_token": _token(*shown[-1]) if more else None}

    def _refuse_feed(self, call: Call, end: datetime) -> None:
        if call.query.get("feed") == "sip" and not self.has_sip and end > self.now() - timedelta(minutes=15):
            raise Refusal(403, "subscription does not permit querying recent SIP data")

    def _rows(self, name: str, frame: str, query: Mapping[str, str]) -> Sequence[Row]:
        symbol, is_coin = yahoo_name(name), "/" in name
        if symbol in self.raw:
            return self.raw[symbol]
        known = self.series.get((symbol, FRAMES[frame]))
        if known is None:
            return ()
        bars = known.part(known.opened_at <= seconds_of(self.now())).bars()
        if is_coin:
            return [_row(bar.opened_at, bar) for bar in bars]
        rows = [row for bar in bars for row in _stock_rows(bar, frame)]
        if query.get("adjustment", "raw") == "raw":
            rows = [self._unadjusted(symbol, row) for row in rows]
        if frame != "1Day" and self.extended_price is not None:
            rows += list(_extended(known, self.extended_price))
        shown = [{**row, "v": int(row["v"])} for row in rows if row["t"] <= _text(self.now())]
        return sorted(shown, key=lambda row: str(row["t"]))

    def _unadjusted(self, symbol: str, row: Row) -> Row:
        factor = 1.0
        for day, ratio in self.splits.get(symbol, ()):
            if _time(row["t"]).astimezone(NEW_YORK).date() < day:
                factor *= ratio
        prices = {name: row[name] * factor for name in ("o", "h", "l", "c", "vw")}
        return {**row, **prices, "v": row["v"] / factor}

    def _latest(self, call: Call, tell: Callable[[str, bool], Row | None]) -> Iterator[tuple[str, Row]]:
        is_coin = call.path.startswith("/v1beta3/")
        self._refuse_feed(call, self.now())
        for name in self._symbols(call, COIN_SYMBOL if is_coin else STOCK_SYMBOL):
            row = tell(yahoo_name(name), is_coin)
            if row is not None:
                yield name, row

    def _newest(self, symbol: str) -> tuple[float, datetime] | None:
        """The last close that is not in the future, and when it was."""
        closed = [
            (int(known.closed_at[-1]), float(known.close[-1]))
            for (name, _), series in self.series.items()
            if name == symbol and len(known := series.until(self.now()))
        ]
        return (max(closed)[1], time_of(max(closed)[0]) - timedelta(seconds=1)) if closed else None

    def _quote_of(self, symbol: str, is_coin: bool) -> Row | None:
        newest = self._newest(symbol)
        if symbol not in self.quotes and newest is None:
            return None
        around = (newest[0] * 0.9999, newest[0] * 1.0001, newest[1]) if newest else (0.0, 0.0, self.now())
        bid, ask, at = self.quotes.get(symbol, around)
        row: Row = {"t": _nano(at), "bp": bid, "bs": 1, "ap": ask, "as": 2}
        return row if is_coin else {**row, "bx": "V", "ax": "V", "c": ["R"], "z": "B"}

    def _trade_of(self, symbol: str, is_coin: bool) -> Row | None:
        told = self.trades.get(symbol) or self._newest(symbol)
        if told is None:
            return None
        row: Row = {"t": _nano(told[1]), "p": told[0], "s": 1, "i": 7}
        return {**row, "tks": "B"} if is_coin else {**row, "x": "V", "c": ["@"], "z": "B"}

    def _actions(self, call: Call) -> Any:
        names = call.query.get("symbols", "").split(",")
        kinds = [kind for kind in call.query.get("types", "").split(",") if kind] or list(ACTION_KINDS)
        first, last = call.query.get("start", ""), call.query.get("end", "")
        found: dict[str, list[Row]] = {}
        for kind in kinds:
            rows = [
                row
                for row in self.actions.get(ACTION_KINDS[kind], [])
                if row["symbol"] in names and first <= row["process_date"] <= last
            ]
            if rows:
                found[ACTION_KINDS[kind]] = rows
        return {"corporate_actions": found, "next_page_token": None}


def _row(at: datetime, bar: Bar, *, quiet: bool = False) -> Row:
    """`quiet` is a bar in which nobody traded, at the last price."""
    prices = dict.fromkeys("ohlc", bar.close)
    if not quiet:
        prices = {"o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close}
    volume = 0.0 if quiet else bar.volume
    return {"t": _text(at), **prices, "v": volume, "n": int(volume > 0), "vw": bar.close}


def _stock_rows(bar: Bar, frame: str) -> Iterator[Row]:
    if frame == "1Day":
        day = bar.opened_at.astimezone(NEW_YORK).replace(hour=0, minute=0, second=0)
        yield _row(day.astimezone(UTC), bar)
        return
    yield _row(bar.opened_at, bar)
    half = bar.opened_at + timedelta(minutes=30)
    if frame == "30Min" and half < bar.closed_at:
        yield _row(half, bar, quiet=True)


def _extended(known: BarSeries, price: float) -> Iterator[Row]:
    """A bar before and one after each session, at a price of their own."""
    days = {time_of(opened).date() for opened in known.opened_at}
    for day in sorted(days):
        for hour in (8, 17):
            at = datetime(day.year, day.month, day.day, hour, tzinfo=NEW_YORK).astimezone(UTC)
            yield {"t": _text(at), **dict.fromkeys("ohlc", price), "v": 5, "n": 1, "vw": price}


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text.replace("Z", "+00:00")) if "T" in text else datetime.fromisoformat(text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _nano(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}123Z"


def _token(name: str, row: Row) -> str:
    return base64.b64encode(f"{name}|M|{row['t']}".encode()).decode()


def _after(rows: Sequence[tuple[str, Row]], token: str | None) -> int:
    """Where the page that a token names begins."""
    if token is None:
        return 0
    try:
        name, _, at = base64.b64decode(token).decode().split("|")
        return next(place for place, (each, row) in enumerate(rows) if (each, row["t"]) == (name, at)) + 1
    except (ValueError, StopIteration):
        raise Refusal(400, "invalid page token") from None
