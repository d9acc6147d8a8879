"""Dividends and splits at the simulated venue: what a corporate action does to its book, as events.

The venue trades at the prices of the bars as they are handed in, each in the units of its own time. The actions handed
in must belong to the same bars: a split is among them if and only if the prices jump at it. So bars that are adjusted
for splits (the usual files, core.adapters.history_files) come with dividends alone and know no split, because all
their past is told in today's shares; unadjusted bars, and those collected as time goes by, come with both. Nothing is
ever divided twice.

Cash comes on the ex-date's open rather than weeks later; resting orders are not lowered by a dividend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from core.adapters.simulated_events import Divided, Paid, VenueEvent
from core.adapters.simulated_matching import instrument_of
from core.adapters.simulated_venue import VenueBook
from core.domain.corporate import CorporateAction
from core.domain.portfolio import CashKind, CashMovement
from core.domain.splits import split_units
from core.domain.values import CENT, ZERO, floor_to, plain
from core.domain.venue import Split

ActionsBetween = Callable[[datetime, datetime], Sequence[CorporateAction]]
"""actions(after, until): what takes effect after `after` and at or before `until`, ascending, of every symbol that is
traded. What the source learns of an action later than that is too late."""


def no_actions(_after: datetime, _until: datetime) -> Sequence[CorporateAction]:
    """The source of a market that knows none."""
    return ()


def follow(book: VenueBook, action: CorporateAction, now: datetime) -> Iterator[VenueEvent]:
    """What the action does to the book as it stands: the dividend on the units held before, then the split.

    A split is told of whether or not the shares are held, for whoever keeps their prices. Ids follow from symbol and
    date alone.
    """
    held = book.positions.get(action.symbol, ZERO)
    name = f"{action.symbol}/{action.at:%Y-%m-%d}"
    dividend = floor_to(held * action.dividend, CENT)
    if dividend > 0:
        note = f"{plain(action.dividend)} USD on each of {plain(held)} {action.symbol}"
        yield Paid(now, CashMovement(f"dividend/{name}", book.account, CashKind.DIVIDEND, dividend, action.at, note))
    if not action.is_split:
        return
    kept, odd = split_units(held, action.ratio, instrument_of(action.symbol))
    split = Split(f"split/{name}", book.account, action.symbol, action.ratio, kept - held, action.at)
    worth = floor_to(odd * action.price, CENT)
    in_lieu = None
    if worth > 0:
        note = f"for {plain(odd)} {action.symbol} left over by the split"
        in_lieu = CashMovement(f"in-lieu/{name}", book.account, CashKind.IN_LIEU, worth, action.at, note)
    yield Divided(now, split, in_lieu)
