"""Alpaca's trading service on loopback as alpaca-py 0.44 meets it: account, clock, calendar, assets, orders with legs,
positions, activities. Its market is steered by the test. Answers are held to Alpaca's description in tests/contract."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.domain.instruments import AssetClass
from core.series import time_of
from tests.servers.alpaca_http import KEY_ID, SECRET, Answer, Call, Refusal
from tests.servers.alpaca_matching import CALENDAR, Listener
from tests.servers.alpaca_trading_account import NEW_YORK
from tests.servers.alpaca_trading_orders import Row
from tests.servers.alpaca_trading_steering import PAPER_CASH, PAPER_NUMBER, SteeredMarket

LIVE_KEY_ID, LIVE_SECRET = "AKTESTKEYID123456789", "lIvEsEcReTpArTtHaTnObOdYeVeRsEeS12345678"
UNAUTHORIZED = Answer(401, {"code": 40110000, "message": "request is not authorized"})
ONE = r"/v2/(orders|positions|assets)/([^/]+(?:/USD)?)"
MOST_IN_A_PAGE = 100


class AlpacaTradingServer(SteeredMarket):
    """`now` is its clock. The account is `venue.account`, what the venue does one way or another `venue.habits`;
    `other_keys` are known but belong to the other address (live keys on paper's and the reverse), and revoked ones are
    refused the same way. Methods that steer may be called from any thread."""

    def __init__(self, now: Callable[[], datetime], *, cash: Decimal = PAPER_CASH, number: str = PAPER_NUMBER) -> None:
        super().__init__(now, cash=cash, number=number)
        self.other_keys = {LIVE_KEY_ID: LIVE_SECRET}

    def __enter__(self) -> AlpacaTradingServer:
        super().__enter__()
        return self

    # keys

    def revoke_keys(self) -> None:
        with self.lock:
            self.other_keys |= self.keys
            self.keys = {}

    def restore_keys(self, key_id: str = KEY_ID, secret: str = SECRET) -> None:
        """These keys fit from now on."""
        with self.lock:
            self.other_keys.pop(key_id, None)
            self.keys = {key_id: secret}

    def shut_out(self, call: Call) -> Answer:
        """Alpaca says 403 to keys it does not know and 401 to those that are not for this."""
        known = call.key_id is not None and self.other_keys.get(call.key_id) == call.secret
        return UNAUTHORIZED if known else super().shut_out(call)

    # a life longer than a process

    def save(self, path: Path) -> None:
        """Everything about the venue, for `load` of another server."""
        with self.lock:
            path.write_bytes(pickle.dumps(self.venue))

    def load(self, path: Path) -> None:
        with self.lock:
            listeners = self.venue.listeners
            self.venue = pickle.loads(path.read_bytes())
            self.venue.listeners = listeners

    def hear(self, listener: Listener) -> None:
        """`listener` is called with each message of the trade stream as it happens."""
        with self.lock:
            self.venue.listeners.append(listener)

    # answers

    def respond(self, call: Call) -> Any:
        with self.lock:
            self.venue.advance(self.now())
            one = re.fullmatch(ONE, call.path)
            if one:
                return self._one(call, *one.groups())
            return self._many(call)

    def _one(self, call: Call, kind: str, name: str) -> Any:
        venue, method = self.venue, call.method
        if kind == "assets" and method == "GET":
            return venue.asset(name).wire()
        if kind == "positions":
            return venue.position(name) if method == "GET" else venue.close_position(name, call.query)
        if kind != "orders":
            raise Refusal(404, "endpoint not found.")
        if method == "PATCH":
            return venue.replace(name, call.body or {})
        if method == "DELETE":
            venue.cancel(name)
            return Answer(204, "")
        return venue.wire(venue.order(name), nested=_is_true(call, "nested"))

    def _many(self, call: Call) -> Any:
        venue, query = self.venue, call.query
        answers: Mapping[tuple[str, str], Callable[[], Any]] = {
            ("GET", "/v2/account"): lambda: venue.account.wire(venue.prices, venue.pledged()),
            ("GET", "/v2/account/configurations"): lambda: venue.account.configuration,
            ("PATCH", "/v2/account/configurations"): lambda: self._configure(call.body or {}),
            ("GET", "/v2/account/activities"): lambda: self._activities(query, query.get("activity_types", "")),
            ("GET", "/v2/clock"): self._clock,
            ("GET", "/v2/calendar"): lambda: self._calendar(query),
            ("GET", "/v2/assets"): lambda: self._assets(query),
            ("GET", "/v2/orders"): lambda: venue.listed(query, nested=_is_true(call, "nested")),
            ("POST", "/v2/orders"): lambda: venue.submit(call.body or {}),
            ("DELETE", "/v2/orders"): venue.cancel_all,
            ("GET", "/v2/orders:by_client_order_id"): lambda: venue.wire(
                venue.by_client_id(query.get("client_order_id", ""))
            ),
            ("GET", "/v2/positions"): venue.positions,
            ("DELETE", "/v2/positions"): lambda: venue.close_all(cancel_orders=_is_true(call, "cancel_orders")),
        }
        if (call.method, call.path) in answers:
            return answers[call.method, call.path]()
        if call.method == "GET" and call.path.startswith("/v2/account/activities/"):
            return self._activities(query, call.path.rsplit("/", 1)[1])
        raise Refusal(404, "endpoint not found.")

    def _configure(self, body: Mapping[str, Any]) -> Row:
        known = self.venue.account.configuration
        known.update({name: value for name, value in body.items() if name in known and value is not None})
        return known

    def _activities(self, query: Mapping[str, str], kinds: str) -> list[Row]:
        """Pages go on after the id that `page_token` names."""
        newest_first = query.get("direction", "desc") != "asc"
        wanted = [kind for kind in kinds.split(",") if kind]
        if "category" in query:
            others = {row["activity_type"] for _, row in self.venue.account.activities} - {"FILL"}
            wanted = ["FILL"] if query["category"] == "trade_activity" else sorted(others) or ["none"]
        after, until, day = (_moment(query.get(name)) for name in ("after", "until", "date"))
        rows = [
            row
            for at, row in self.venue.account.listed(wanted, newest_first=newest_first)
            if (after is None or at > after)
            and (until is None or at < until)
            and (day is None or at.astimezone(NEW_YORK).date() == day.date())
        ]
        token = query.get("page_token")
        if token is not None:
            places = [place for place, row in enumerate(rows) if row["id"] == token]
            if not places:
                raise Refusal(422, "invalid page_token", 40010001)
            rows = rows[places[0] + 1 :]
        return rows[: min(MOST_IN_A_PAGE, int(query.get("page_size", MOST_IN_A_PAGE)))]

    def _clock(self) -> Row:
        now = self.now() + self.skew
        is_open = CALENDAR.is_open(AssetClass.STOCK, now)
        close = CALENDAR.next_close(AssetClass.STOCK, now)
        opens = CALENDAR.next_open(AssetClass.STOCK, close if is_open else now)
        local = now.astimezone(NEW_YORK)
        return {
            "timestamp": local.isoformat(),
            "is_open": is_open,
            "next_open": opens.astimezone(NEW_YORK).isoformat(),
            "next_close": close.astimezone(NEW_YORK).isoformat(),
        }

    def _calendar(self, query: Mapping[str, str]) -> list[Row]:
        first = date.fromisoformat(query.get("start", "2016-01-04")[:10])
        last = date.fromisoformat(query.get("end", "2029-12-31")[:10])
        days, opens, closes = CALENDAR.sessions_between(first, last)
        settle, _, _ = CALENDAR.sessions_between(first, last + timedelta(days=10))
        rows = []
        for place, (day, opened, closed) in enumerate(zip(days, opens, closes, strict=True)):
            close = time_of(int(closed)).astimezone(NEW_YORK)
            is_half = close.hour < 16
            rows.append(
                {
                    "date": f"{time_of(int(day)):%Y-%m-%d}",
                    "open": f"{time_of(int(opened)).astimezone(NEW_YORK):%H:%M}",
                    "close": f"{close:%H:%M}",
                    "session_open": "0400",
                    "session_close": "1700" if is_half else "2000",
                    "settlement_date": f"{time_of(int(settle[place + 1])):%Y-%m-%d}",
                }
            )
        return rows

    def _assets(self, query: Mapping[str, str]) -> list[Row]:
        kind = query.get("asset_class", "us_equity")
        rows = [asset.wire() for asset in self.venue.assets.values() if asset.asset_class == kind]
        return [row for row in rows if query.get("status") in (None, row["status"])]


def _is_true(call: Call, name: str) -> bool:
    return call.query.get(name, "").lower() == "true"


def _moment(told: str | None) -> datetime | None:
    """`2026-11-02` or `2026-11-02T14:30:00Z`."""
    if not told:
        return None
    try:
        at = datetime.fromisoformat(told.replace("Z", "+00:00").replace(" ", "+"))
    except ValueError:
        raise Refusal(422, f"invalid timestamp: {told}", 40010001) from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
