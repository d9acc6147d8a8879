"""A month at the loopback Alpaca with failing calls and kills: nothing is doubled, nothing left unguarded, and the
ledger is the venue's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.alpaca_checks import Lack
from tests.soak.alpaca_month import Month, MonthOutcome


def lived(folder: Path, days: float, kills: int, seed: int, *, listens: bool = False) -> MonthOutcome:
    outcome = Month(folder, days, kills, seed, listens=listens).run()
    print(f"\n{outcome.words()}")
    return outcome


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
