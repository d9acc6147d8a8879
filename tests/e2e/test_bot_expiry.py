"""What the owner did not answer in its time says so by itself, on a real engine: cards lose their buttons, a question
in words is told, and what was decided stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.confirmations import LIVES
from bot.expiring import KEY, OVER
from core.domain.values import ZERO
from core.execution.owner_drafts import LIFE
from tests.bot_bench import Desk, a_desk, tokens
from tests.bot_line import eventually
from tests.builders import COIN, Bench, an_entry

FILL = "/executed btc 10 @ 102,50"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path).start()
    bench.declare_cash()
    yield bench
    bench.close()


def held(bench: Bench, account: str = "manual") -> Any:
    return bench.read(lambda work: work.portfolio(account)).quantity(COIN)


async def asked(desk: Desk, said: str, words: str) -> dict[str, Any]:
    """The card that asks, once it is known which message it is."""
    await desk.person.sends(said)
    card = await desk.message(words)
    kind, _, token = tokens(card)[0].split(":")[:3]
    await eventually(lambda: f'"{kind}:{token}"' in (desk.bench.read(lambda work: work.value(KEY)) or ""))
    return card


def over(desk: Desk, span: timedelta) -> None:
    desk.bench.system.advance(span)
    desk.bench.clock.advance(span)


@pytest.mark.feature("M3")
async def test_a_typed_fill_that_nobody_confirms_says_that_it_is_over_and_can_be_typed_again(
    tmp_path: Path, bench: Bench
) -> None:
    bench.instruct()
    async with a_desk(tmp_path, bench) as desk:
        card = await asked(desk, FILL, "bought 10 @ 102.50?")
        first, buttons = card["text"].splitlines()[0], tokens(card)
        over(desk, LIFE - timedelta(seconds=1))
        assert await desk.app._expire() == 0
        assert (await desk.shown(card["message_id"]))["text"] == card["text"]
        over(desk, timedelta(seconds=1))
        gone = await desk.until(card["message_id"], "Expired")
        assert gone["text"] == f"{first.replace('📝', '⌛')}\n{OVER}"
        assert tokens(gone) == []
        desk.hears_tap(gone, buttons[0])
        await eventually(lambda: desk.phone.is_owed() == 0)
        assert bench.read(lambda work: work.value("drafts")) is None
        again = await asked(desk, FILL, "Nothing is booked yet")
        assert again["message_id"] != card["message_id"]
        assert held(bench) == ZERO


@pytest.mark.feature("C3")
async def test_a_sale_that_nobody_confirms_is_over_after_a_restart_too(tmp_path: Path, bench: Bench) -> None:
    bench.place(an_entry(bench))
    bench.bar(100)
    bench.reconcile()
    async with a_desk(tmp_path, bench) as desk:
        card = await asked(desk, "/close btc", "sell it")
        await desk.app.stop()
        over(desk, LIVES)
        await desk.restart()
        gone = await desk.until(card["message_id"], OVER)
        assert gone["text"].startswith("⌛ BTC-USD: sell it")
        assert tokens(gone) == []
        assert held(bench, "simulated") == 10
        assert bench.read(lambda work: work.value(KEY)) is None


@pytest.mark.feature("C2")
async def test_a_question_in_words_is_told_to_be_over_once_and_the_word_sells_nothing_any_more(
    tmp_path: Path, bench: Bench
) -> None:
    async with a_desk(tmp_path, bench) as desk:
        await desk.person.sends("/flatten")
        await desk.message("Sell everything?")
        over(desk, LIVES)
        await desk.message(f"⌛ Selling everything\n{OVER}")
        await desk.person.sends("SELL")
        await desk.message("Which order?")
        assert await desk.app._expire() == 0
        assert sum(OVER in each.get("text", "") for each in await desk.person.sees()) == 1
        assert list(bench.read(lambda work: work.brakes())) == []


@pytest.mark.feature("M3")
async def test_what_was_confirmed_in_time_never_says_that_nothing_was_done(tmp_path: Path, bench: Bench) -> None:
    bench.instruct()
    async with a_desk(tmp_path, bench) as desk:
        card = await asked(desk, FILL, "bought 10 @ 102.50?")
        await desk.person.taps(card["message_id"], tokens(card)[0])
        booked = await desk.until(card["message_id"], "☑️ Booked")
        over(desk, 2 * LIFE)
        assert await desk.app._expire() == 0
        assert (await desk.shown(card["message_id"]))["text"] == booked["text"]
        assert held(bench) == 10
