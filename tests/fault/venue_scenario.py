"""Trades once through a simulated venue on the folder given: an entry with its bracket, its fill, its moved stop."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from core.clock import VirtualClock
from core.domain.venue import Accepted, Replacement
from tests.fakes_venue import MONDAY, BarShelf, bar_of, flat_bars, request_of, venue_over
from tests.fault.crashing import checkpoint, report

FIVE = timedelta(minutes=5)


def main() -> None:
    shelf = BarShelf(*flat_bars("SPY", 100.0, MONDAY - FIVE, 2), bar_of("SPY", MONDAY + FIVE, (96.0, 97.0, 94.0, 95.0)))
    clock = VirtualClock(MONDAY)
    venue = venue_over(shelf, clock, path=Path(sys.argv[1]) / "simulated_venue.sqlite", checkpoint=checkpoint)
    for name, bracket in (("entry", {"bracket_stop": "95", "bracket_target": "115"}), ("dropped", {})):
        answer = venue.submit(request_of(name, **bracket))
        checkpoint("scenario.answered")
        assert isinstance(answer, Accepted)
    venue.cancel("dropped")
    clock.advance(FIVE)
    venue.fills_since(MONDAY)
    assert isinstance(venue.replace("entry-s", Replacement("moved", stop_price=Decimal("95.5"))), Accepted)
    clock.advance(FIVE)
    fills = venue.fills_since(datetime(2020, 1, 1, tzinfo=UTC))
    orders = [venue.find(name) for name in ("entry", "entry-s", "entry-t", "dropped")]
    report(
        {
            "fills": [[fill.id, str(fill.quantity), str(fill.price)] for fill in fills],
            "states": [order.state if order else None for order in orders],
            "live": len(venue.orders()),
            "cash": str(venue.state().cash),
            "positions": {symbol: str(units) for symbol, units in venue.state().positions.items()},
        }
    )
    venue.close()


if __name__ == "__main__":
    main()
