"""A venue that fails one call in twenty, in six ways, for a year of trading days: no promise is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.long_run import LongRun, Outcome


def soaked(folder: Path, trading_days: int, seed: int) -> Outcome:
    run = LongRun(folder, trading_days, seed)
    try:
        outcome = run.run()
    finally:
        run.close()
    print(outcome.words())
    return outcome


@pytest.mark.feature("S14")
def test_two_days_of_failing_calls_break_no_promise(tmp_path: Path) -> None:
    outcome = soaked(tmp_path, 2, 9)
    assert outcome.violations == []
    assert outcome.fills
    assert sum(outcome.injected.values()) > outcome.calls / 40


@pytest.mark.long
@pytest.mark.timeout(14_400)
@pytest.mark.feature("S14")
def test_250_trading_days_of_failing_calls_break_no_promise(tmp_path: Path) -> None:
    outcome = soaked(tmp_path, 250, 11)
    assert outcome.violations == []
    assert min(outcome.injected.values()) > 0
    assert outcome.fills > 250
