"""Real money in the chat: the bot asks, the owner writes the very words, and only then anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.domain.accounts import Mode
from core.execution.real_money import permit_of
from tests.bot_bench import Desk, a_desk, tokens
from tests.live_bench import NUMBER, LiveBench

pytestmark = [pytest.mark.feature("S10"), pytest.mark.feature("U2")]
WORDS = f"trade {NUMBER} with real money"


async def answer(desk: Desk, text: str, words: str) -> str:
    """What the bot says to `text`, with `words` in it."""
    await desk.person.sends(text)
    return str((await desk.message(words))["text"])


async def test_the_owner_is_asked_and_only_the_very_words_allow_it(tmp_path: Path) -> None:
    bench = LiveBench(tmp_path)
    async with a_desk(tmp_path, bench) as desk:
        await desk.does(bench.look)
        asked = await desk.message("Real money waits for your word")
        first, _, rest = asked["text"].partition("\n")
        assert "$10,000.00" in first
        assert "LIVE" in first
        assert NUMBER in rest
        await answer(desk, "/status", "nothing is sent to Alpaca")
        (button,) = tokens(asked)
        await desk.person.taps(asked["message_id"], button)
        question = (await desk.message("To allow it, answer within"))["text"]
        assert WORDS in question
        assert "On the first trading day at most $1,000.00" in question
        for wrong in ("yes", "trade 987654321 with real money", "trade"):
            await answer(desk, wrong, "Nothing was changed. To allow real money")
        assert bench.read(permit_of) is None
        told = await answer(desk, WORDS.upper(), f"Real money: account {NUMBER}")
        assert "LIVE" in told.partition("\n")[0]
        assert "Mode manual" in told
        permit = bench.read(permit_of)
        assert permit is not None
        assert permit.number == NUMBER
        assert "LIVE" in (await answer(desk, "/status", "First day of real money: at most 10.0%")).partition("\n")[0]
        await answer(desk, "/mode auto", "Active in mode auto")
        await desk.restart()
        await desk.does(bench.look)
        assert bench.owner.status().mode is Mode.AUTO
        await answer(desk, "/realmoney", "Real money is allowed")
        await answer(desk, "/realmoney off", f"Real money: account {NUMBER} is left alone")
        assert bench.read(permit_of) is None


async def test_words_that_nobody_asked_for_or_that_come_too_late_allow_nothing(tmp_path: Path) -> None:
    bench = LiveBench(tmp_path)
    async with a_desk(tmp_path, bench) as desk:
        await desk.does(bench.look)
        await desk.person.sends(WORDS)
        await answer(desk, "/realmoney", "To allow it, answer within 10 min")
        bench.system.advance(bench.policy.instruction_life)
        await desk.person.sends(WORDS)
        await answer(desk, "/audit", "asked for the word")
        assert bench.read(permit_of) is None
        assert bench.live.touched == []


async def test_without_a_live_account_there_is_nothing_to_allow(tmp_path: Path) -> None:
    bench = LiveBench(tmp_path, paper=True)
    async with a_desk(tmp_path, bench) as desk:
        await answer(desk, "/realmoney", "There is no live account here")
        await answer(desk, "/realmoney off", "There is no live account here")
