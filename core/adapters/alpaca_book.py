"""Alpaca's book of our orders: which belong together, which replaced which, and what they are called here.

Its plain list of open orders leaves out a stop that is held back while the target beside it rests; its nested list
leaves out what is nested in an order that has ended. So that a bracket whose entry is filled shows in full, the plain
list is asked first and then, nested, everything of the symbols that have orders with legs.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.adapters.alpaca_names import our_symbol
from core.adapters.alpaca_orders import PAIR, SIMPLE, Member, family, is_limit, is_whole
from core.adapters.alpaca_rules import STOP_SUFFIX, TARGET_SUFFIX
from core.adapters.alpaca_trading import AlpacaTrading
from core.adapters.alpaca_wire import Row, moment, rows_of, text, utc_text, word
from core.domain.orders import LIVE, Purpose, Side
from core.domain.venue import VenueOrder
from core.errors import MalformedAnswer

MOST_VERSIONS = 20
REMEMBERED = 20_000
AROUND = timedelta(seconds=10)
"""The legs of an order are made together with it, to within so much."""
LONG_BEFORE = timedelta(days=400)
"""How far back the order of a leg is looked for that was not made together with it."""
SEVERAL = 3


@dataclass(frozen=True, slots=True)
class Owner:
    """What an order of Alpaca's is called here, why there is one, and in what; empty where Alpaca forgot the order."""

    name: str
    purpose: Purpose
    symbol: str = ""


class AlpacaBook:
    """Asks through `trading`. What an order is called, and what took the place of one that was replaced, never changes,
    so that it is remembered; everything else is asked every time. All methods raise Transient."""

    def __init__(self, trading: AlpacaTrading) -> None:
        self._trading = trading
        self._lock = threading.Lock()
        self._owners: dict[str, Owner] = {}
        self._replaced: dict[str, Row] = {}

    def read(self, head: Row) -> tuple[Member, ...]:
        """An order of ours and its legs, as Alpaca told it just now; what it left out is asked for."""
        name = text(self._first(head), "client_order_id")
        if word(head, "order_class") not in SIMPLE:
            head = self._versions(head)[-1]
        if not is_whole(head):
            head = self._order(text(head, "id")) or head
        if word(head, "order_class") == PAIR and not head.get("legs") and text(head, "type") == "limit":
            raise MalformedAnswer("told of a pair of orders without its stop")
        return self._learn(head, name)

    def find(self, name: str) -> Member | None:
        """The order that we know as `name`, with what Alpaca calls it; None for one that Alpaca never had."""
        for client_id in _heads(name):
            head = self._by_client_id(client_id)
            if head is None:
                continue
            found = next((each for each in self.read(head) if each.order.client_order_id == name), None)
            if found is not None:
                return found
        return None

    def around(self, name: str) -> tuple[Member, ...]:
        """The order that we know as `name` together with its legs, or with those it is a leg of; empty for none."""
        for client_id in _heads(name):
            head = self._by_client_id(client_id)
            members = self.read(head) if head is not None else ()
            if any(each.order.client_order_id == name for each in members):
                return members
        return ()

    def live(self) -> Sequence[VenueOrder]:
        """All live orders with their legs, the oldest first."""
        open_orders = self._list({"status": "open"})
        # Until Alpaca has replaced an order altogether it is that one which rests, and not what is to take its place.
        resting = {text(row, "id") for row in open_orders}
        open_orders = [row for row in open_orders if word(row, "replaces") not in resting]
        joined = [row for row in open_orders if self._is_joined(row)]
        legs = {text(row, "id") for row in joined}
        heads = {text(row, "id"): row for row in open_orders if text(row, "id") not in legs}
        if joined:
            heads |= self._heads_of(joined)
        members = [member for head in sorted(heads.values(), key=_made_at) for member in self._named(head)]
        known = {member.order.client_order_id: member.order for member in members}
        return [order for order in known.values() if order.state in LIVE]

    def rejected_under(self, client_id: str) -> bool:
        """Whether Alpaca has an order under that very client id that it, or the exchange, rejected."""
        row = self._by_client_id(client_id)
        return row is not None and word(row, "status") == "rejected"

    def owner_of(self, order_id: str) -> Owner:
        """What the order is called under which Alpaca filled something; one that it does not know any more keeps the
        name that Alpaca gives it, and counts as an exit."""
        known = self._owner(order_id)
        if known is not None:
            return known
        row = self._order(order_id)
        if row is None:
            return self._remember(order_id, Owner(order_id, Purpose.EXIT))
        first = self._first(row)
        if text(first, "id") != order_id and (known := self._owner(text(first, "id"))) is not None:
            return self._remember(order_id, known)
        head = first if is_whole(first) else self._parent_of(first)
        if is_whole(head):
            self._named(head)
        known = self._owner(order_id) or self._owner(text(first, "id"))
        if known is None:
            side = Purpose.ENTRY if word(first, "side") == Side.BUY else Purpose.EXIT
            symbol = our_symbol(text(first, "symbol"), word(first, "asset_class"))
            known = Owner(text(first, "client_order_id"), side, symbol)
        return self._remember(order_id, known)

    def prepare(self, order_ids: Iterable[str], since: datetime) -> None:
        """Learns at once what several orders are called that have been sent since about then."""
        if sum(self._owner(each) is None for each in set(order_ids)) >= SEVERAL:
            wanted = {"status": "all", "nested": "true", "after": utc_text(since)}
            for head in self._list(wanted):
                if is_whole(head):
                    self._named(head)

    def _named(self, head: Row) -> tuple[Member, ...]:
        return self._learn(head, text(self._first(head), "client_order_id"))

    def _learn(self, head: Row, name: str) -> tuple[Member, ...]:
        members = family(head, name, self._versions)
        for member in members:
            for order_id in member.ids:
                self._remember(order_id, _owner_of(member.order))
        return members

    def _heads_of(self, joined: list[Row]) -> dict[str, Row]:
        """The orders to which `joined`, orders with legs or legs themselves, belong."""
        ids = {text(row, "id") for row in joined}
        # A leg that was replaced is nested in nothing any more.
        whole = (head for head in self._nested(joined) if is_whole(head))
        heads = {text(head, "id"): head for head in whole if not ids.isdisjoint(_ids_in(head))}
        left = ids - {each for head in heads.values() for each in _ids_in(head)}
        for row in joined:
            if text(row, "id") in left:
                # One that was moved by hand, or whose order is of long ago.
                first = self._first(row)
                whole_now = first if is_whole(first) else self._order(text(first, "id")) or first
                found = whole_now if is_whole(whole_now) else self._parent_of(first)
                heads[text(found, "id")] = found
        return heads

    def _nested(self, legs: list[Row], before: timedelta = AROUND) -> list[Row]:
        symbols = ",".join(sorted({text(row, "symbol") for row in legs}))
        after = min(map(_made_at, legs)) - before
        return self._list({"status": "all", "nested": "true", "symbols": symbols, "after": utc_text(after)})

    def _parent_of(self, leg: Row) -> Row:
        """The order that was told with `leg`, or with what took its place; the leg itself where there is none."""
        versions = {text(row, "id") for row in self._versions(leg)}
        for before in (AROUND, LONG_BEFORE):
            for head in self._nested([leg], before):
                if is_whole(head) and not versions.isdisjoint(_ids_in(head)):
                    return head
        return leg

    def _first(self, row: Row) -> Row:
        """The order that was replaced, once or several times, until this one came of it."""
        for _ in range(MOST_VERSIONS):
            former = word(row, "replaces")
            found = self._version(former) if former else None
            if found is None:
                return row
            row = found
        return row

    def _versions(self, row: Row) -> tuple[Row, ...]:
        """Of an order, the oldest first: those that were replaced until this one came of it, and what became of it."""
        versions = [row]
        while word(versions[0], "replaces") and len(versions) < MOST_VERSIONS:
            former = self._version(word(versions[0], "replaces"))
            # The other leg, in whose place this one came, is no version of it.
            if former is None or is_limit(former) != is_limit(row):
                break
            versions.insert(0, former)
        while word(versions[-1], "status") == "replaced" and len(versions) < MOST_VERSIONS:
            next_id = word(versions[-1], "replaced_by")
            found = self._version(next_id) if next_id else None
            if found is None:
                break
            versions.append(found)
        return tuple(versions)

    def _order(self, order_id: str) -> Row | None:
        return self._trading.row_or_none(lambda vendor: vendor.order(order_id), "an order")

    def _version(self, order_id: str) -> Row | None:
        with self._lock:
            known = self._replaced.get(order_id)
        row = known or self._order(order_id)
        # What is nested in an order goes on changing.
        if row is not None and word(row, "status") == "replaced" and word(row, "replaced_by") and not row.get("legs"):
            with self._lock:
                self._replaced[order_id] = row
                while len(self._replaced) > REMEMBERED:
                    del self._replaced[next(iter(self._replaced))]
        return row

    def _is_joined(self, row: Row) -> bool:
        """Whether an order has legs, or is one, or has taken the place of one."""
        if word(row, "order_class") not in SIMPLE:
            return True
        return bool(word(row, "replaces")) and word(self._first(row), "order_class") not in SIMPLE

    def _by_client_id(self, name: str) -> Row | None:
        return self._trading.row_or_none(lambda vendor: vendor.order_by_client_id(name), "an order")

    def _list(self, wanted: dict[str, str]) -> list[Row]:
        # An order in several options at once has no symbol; nothing of it is ours.
        return [row for row in self._trading.orders(wanted) if word(row, "symbol")]

    def _owner(self, order_id: str) -> Owner | None:
        with self._lock:
            return self._owners.get(order_id)

    def _remember(self, order_id: str, owner: Owner) -> Owner:
        with self._lock:
            self._owners[order_id] = owner
            while len(self._owners) > REMEMBERED:
                del self._owners[next(iter(self._owners))]
        return owner


def _owner_of(order: VenueOrder) -> Owner:
    return Owner(order.client_order_id, order.purpose, order.symbol)


def _heads(name: str) -> tuple[str, ...]:
    """The client ids under which Alpaca may have what we know as `name`."""
    is_leg = name.endswith((STOP_SUFFIX, TARGET_SUFFIX))
    return (name[: -len(STOP_SUFFIX)], name) if is_leg and len(name) > len(STOP_SUFFIX) else (name,)


def _ids_in(head: Row) -> set[str]:
    """Of the order and its legs, and of what replaced a leg."""
    legs = rows_of(head.get("legs") or [], "legs of an order")
    replacing = {word(leg, "replaced_by") for leg in legs} - {""}
    return {text(row, "id") for row in (head, *legs)} | replacing


def _made_at(row: Row) -> datetime:
    made = moment(row, ("submitted_at", "created_at"))
    if made is None:
        raise MalformedAnswer("gave an order without its time")
    return made
