"""The day of a revoked key, as `python -m tests.story_revoked_key` prints it: what the owner saw, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.story_revoked_key import tell

UNTIL_TWO = [
    "09:55 👋 Hi, I am AutoTrader · PAPER",
    "10:00 📈 BTC-USD buy signal 68.0% · PAPER",
    "10:00 📈 SPY buy signal 68.0% · PAPER",
    "10:01 🟢 BTC-USD bought 0.394329 @ 58,717.92 · PAPER",
    "10:01 🟢 SPY bought 39 @ 587.18 · PAPER",
    "10:01 🔁 BTC-USD fee · PAPER",
    "10:31 🟠 Alpaca refuses the keys · PAPER",
    "10:33 ✋ Mode manual: Alpaca refuses the keys · PAPER",
    "11:00 ✋ QQQ BUY 2 @ 491.67 · MANUAL · #1",
    "11:02 ❓ QQQ: is your stop placed? · Q1 · MANUAL",
    "11:02 🟢 QQQ bought 2 @ 491.67 · MANUAL",
    "11:02 ✅ QQQ BUY 2 executed · MANUAL · #1",
    "11:02 ☑️ QQQ placed · Q1 · MANUAL",
    "12:11 🚨 BTC-USD SELL 0.393343 in Alpaca's own app · PAPER · #2",
    "12:15 📝 BTC-USD SELL 0.393343 done · PAPER · #2",
]
FOUND = [
    "💵 Fee −$68.30 · PAPER",
    "🔴 SPY stop-loss −$1,325.61 (−5.79%) · PAPER",
    "⚪ BTC-USD closed +$4,167.29 (+18.00%) · PAPER",
]


@pytest.mark.feature("S11")
@pytest.mark.feature("S12")
@pytest.mark.feature("M13")
@pytest.mark.feature("C6")
def test_with_a_new_key_and_a_restart_all_is_found_and_the_owners_mode_comes_back(tmp_path: Path) -> None:
    told = tell(tmp_path, restarts=True)
    assert [each.first_line for each in told] == [
        *UNTIL_TWO,
        *(f"14:00 {line}" for line in FOUND),
        "14:00 ▶️ AutoTrader is running · PAPER",
        "14:01 💚 Alpaca is back: mode auto · PAPER",
    ]
    fell, back = told[7].text, told[-1].text
    assert "manual until Alpaca is back" in told[-2].text
    assert "SPY 39: stop 557.83" in fell and "$5,000.00 and no more" in fell
    assert "comes back by itself once Alpaca answers" in fell
    assert "by your hand" in back and "SPY sold 39 @ 553.19, 11:20" in back


@pytest.mark.long
@pytest.mark.feature("S11")
def test_a_key_that_is_allowed_again_is_noticed_without_a_restart(tmp_path: Path) -> None:
    told = [each.first_line for each in tell(tmp_path, restarts=False)]
    assert told[: len(UNTIL_TWO)] == UNTIL_TWO
    assert [line.partition(" ")[2] for line in told[len(UNTIL_TWO) :]] == [
        *FOUND,
        "💚 Alpaca is back: mode auto · PAPER",
    ]
    assert told[-1] < "14:06"
