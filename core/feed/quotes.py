"""Last prices from several sources: who does not get one from the first is asked about at the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from core.domain.bars import Quote
from core.domain.instruments import Instrument
from core.errors import Transient
from core.ports import Quotes


class QuoteChain:
    """Quotes. Asks `sources` in order, each about those instruments that none before it has a price of."""

    def __init__(self, sources: Sequence[Quotes]) -> None:
        self._sources = tuple(sources)

    def last(self, instruments: Sequence[Instrument], now: datetime) -> Mapping[str, Quote]:
        """The last price at or before `now` of each instrument that has one. Raises Transient where no source had any
        and one could not be asked: the first one's trouble."""
        found: dict[str, Quote] = {}
        troubles: list[Transient] = []
        for source in self._sources:
            missing = [instrument for instrument in instruments if instrument.symbol not in found]
            if not missing:
                break
            try:
                found |= source.last(missing, now)
            except Transient as error:
                troubles.append(error)
        if troubles and not found:
            raise troubles[0]
        return found
