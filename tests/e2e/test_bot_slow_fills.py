"""An order that the owner approved and that its broker fills late and in parts, as the chat shows it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import VirtualClock
from core.domain.accounts import Mode
from core.domain.orders import OrderState
from core.execution.watch import guard
from tests.bot_bench import a_desk, tokens
from tests.builders import MONDAY, Bench, an_entry
from tests.fakes_chaos import ChaosVenue

HUNDRED = Decimal(100)


@pytest.mark.feature("T9")
async def test_a_card_follows_its_order_from_the_approval_to_the_last_late_fill(tmp_path: Path) -> None:
    venue = ChaosVenue(VirtualClock(MONDAY), lambda _symbol: HUNDRED)
    bench = Bench(tmp_path, mode=Mode.CONFIRM, wrap=lambda _real: venue)
    venue.clock = bench.clock
    bench.start()

    def minutes(count: int) -> None:
        for _ in range(count):
            bench.clock.advance(timedelta(minutes=1))
            bench.system.advance(timedelta(minutes=1))
            guard(bench.desk, bench.clock.now())

    async with a_desk(tmp_path, bench) as desk:
        entry = an_entry(bench, state=OrderState.AWAITING_OWNER)
        await desk.does(bench.place, entry)
        card = await desk.message("#1")
        place = card["message_id"]
        await desk.person.taps(place, next(each for each in tokens(card) if each.startswith("i:a:")))
        approved = await desk.until(place, "The broker has the order")
        assert "filled" not in approved["text"]
        await desk.does(minutes, 20)
        assert (await desk.shown(place))["text"] == approved["text"]
        venue.fill(entry.client_order_id, Decimal(4), HUNDRED)
        await desk.does(minutes, 1)
        partly = await desk.until(place, "🌗 BTC-USD BUY 4 of 10 filled")
        assert "Filled 4 of 10 at $100.00." in partly["text"]
        assert tokens(partly) == []
        venue.fill(entry.client_order_id, Decimal(3), Decimal(101))
        venue.fill(entry.client_order_id, Decimal(3), Decimal(102))
        await desk.does(minutes, 2)
        whole = await desk.until(place, "✅ BTC-USD BUY 10 filled")
        assert "Filled 10 at $100.90 on average." in whole["text"]
        await desk.message("bought 6 @ 101.50")
        told = [each["text"] for each in await desk.person.sees() if "bought" in each.get("text", "")]
        assert [text.splitlines()[0] for text in told] == [
            "🟢 BTC-USD bought 4 @ 100.00 · PAPER",
            "🟢 BTC-USD bought 6 @ 101.50 · PAPER",
        ]
        assert ["4 of 10 filled" in told[0], "10 of 10 filled" in told[1]] == [True, True]
    bench.close()
