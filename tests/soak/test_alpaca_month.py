"""A month at the loopback Alpaca with failing calls and kills: nothing is doubled, nothing left unguarded, and the
ledger is the venue's."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.orders import Purpose, Side
from core.domain.portfolio import Fill, Guard, GuardKind, Portfolio
from core.domain.values import ZERO
from tests.soak.alpaca_checks import ALPACA, Lack, lacks
from tests.soak.alpaca_month import START, Month, MonthOutcome

HUNDRED = Decimal(100)


def lived(folder: Path, days: float, kills: int, seed: int, *, listens: bool = False) -> MonthOutcome:
    outcome = Month(folder, days, kills, seed, listens=listens).run()
    print(f"\n{outcome.words()}")
    return outcome


class Books:
    """So much of a ledger as tells who guards what: ten shares at 100 USD at most."""

    def __init__(self, units: int, guard: GuardKind | None, told: str | None = None) -> None:
        self._units, self._guard, self._told = Decimal(units), guard, told

    def portfolio(self, account: str) -> Portfolio:
        bought = Fill("1", account, "e", "SPY", Side.BUY, self._units, HUNDRED, ZERO, "USD", START, Purpose.ENTRY)
        return Portfolio(account).after(bought) if self._units else Portfolio(account)

    def guards(self, account: str) -> list[Guard]:
        levels = Decimal(95), Decimal(115)
        return [Guard(account, "SPY", *levels, self._guard, None, START)] if self._guard is not None else []

    def value(self, _key: str) -> str | None:
        return self._told


@pytest.mark.feature("S13")
@pytest.mark.parametrize(
    ("books", "rests", "lack"),
    [
        (Books(10, GuardKind.VENUE), 10, None),
        (Books(10, GuardKind.ENGINE), 0, None),
        (Books(0, None), 0, Lack.UNSEEN),
        (Books(4, GuardKind.VENUE), 4, Lack.UNSEEN),
        (Books(10, GuardKind.VENUE), 0, Lack.KNOWN),
        (Books(10, None), 0, Lack.KNOWN),
        (Books(10, GuardKind.OWNER), 0, Lack.KNOWN),
        (Books(10, GuardKind.OWNER, f"{ALPACA}/SPY"), 0, Lack.TOLD),
    ],
)
def test_the_month_tells_what_nobody_has_seen_yet_from_what_is_known_and_bare(
    books: Books, rests: int, lack: Lack | None
) -> None:
    stop = {"symbol": "SPY", "guards": True, "remaining": str(rests)}
    truth = {"positions": {"SPY": "10"}, "orders": [stop], "costs": {"SPY": "1000"}}
    found = lacks(truth, books)  # type: ignore[arg-type]  # What it reads of a ledger is there.
    assert found == ({} if lack is None else {"SPY": lack})


@pytest.mark.timeout(120)
@pytest.mark.feature("S10")
def test_six_hours_and_two_kills_at_alpaca_break_no_promise(tmp_path: Path) -> None:
    outcome = lived(tmp_path, 0.25, 2, 4)
    assert not outcome.broken, "\n".join(outcome.broken)
    assert (len(outcome.kills), outcome.spells[Lack.KNOWN]) == (2, 0)
    assert outcome.fills


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.feature("S10")
def test_a_month_and_ten_kills_at_alpaca_break_no_promise(tmp_path: Path) -> None:
    outcome = lived(tmp_path, 30, 10, 7, listens=True)
    assert not outcome.broken, "\n".join(outcome.broken)
    assert (len(outcome.kills), outcome.doubled, outcome.spells[Lack.KNOWN]) == (10, 0, 0)
    assert min(outcome.met.values()) > 0
    assert outcome.fills > 100
