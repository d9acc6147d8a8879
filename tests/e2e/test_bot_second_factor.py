"""With real money and a secret for codes, what raises risk waits for a code; each counts once, few may be wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.commands.second import raises_risk
from bot.second_factor import MOST_WRONG, WRONG_COUNTS_FOR
from core import totp
from core.domain.accounts import Mode
from core.execution.real_money import permit_of
from tests import bot_bench
from tests.bot_bench import Desk, a_desk
from tests.live_bench import NUMBER, LiveBench

pytestmark = pytest.mark.feature("A6")
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def code_now(bench: LiveBench) -> str:
    return totp.code_of(totp.key_of(SECRET), totp.step_of(bench.system.now()))


@asynccontextmanager
async def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[LiveBench, Desk]]:
    parts = bot_bench.BotParts
    monkeypatch.setattr(bot_bench, "BotParts", lambda **given: replace(parts(**given), code_secret=SECRET))
    bench = LiveBench(tmp_path)
    async with a_desk(tmp_path, bench) as desk:
        await desk.does(bench.look)
        yield bench, desk


async def says(desk: Desk, text: str, words: str) -> None:
    """Sends `text` and waits for an answer with `words`, one more than there were."""

    async def answers() -> int:
        return sum(words in each.get("text", "") for each in await desk.person.sees())

    before = await answers()
    await desk.person.sends(text)
    for _ in range(500):
        if await answers() > before:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never answered {words!r}")


async def is_gone(desk: Desk, text: str) -> bool:
    for _ in range(200):
        if all(each.get("text") != text for each in await desk.person.sees()):
            return True
        await asyncio.sleep(0.02)
    return False


async def test_real_money_and_automatic_orders_want_a_code_each_and_the_messages_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with guarded(tmp_path, monkeypatch) as (bench, desk):
        await says(desk, "/realmoney", "real money 123456")
        words = f"trade {NUMBER} with real money"
        await says(desk, words, "That is not the code")
        assert bench.read(permit_of) is None
        used = code_now(bench)
        await says(desk, f"{words} {used}", f"Real money: account {NUMBER}")
        assert await is_gone(desk, f"{words} {used}")
        await says(desk, "/mode auto", "Your code, please")
        await says(desk, used, "or it was used already")
        assert bench.owner.chosen_mode() is Mode.MANUAL
        bench.system.advance(timedelta(seconds=totp.PERIOD))
        fresh = code_now(bench)
        await says(desk, fresh, "Active in mode auto")
        assert await is_gone(desk, fresh)
        trail = bench.read(lambda work: work.audit_trail())
        assert not any(code in record.action + record.outcome for record in trail for code in (used, fresh))


async def test_after_a_few_wrong_codes_none_counts_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with guarded(tmp_path, monkeypatch) as (bench, desk):
        await says(desk, "/settings DAILY_LOSS_LIMIT 10%", "Your code, please")
        for left in range(MOST_WRONG - 1, 0, -1):
            await says(desk, "000000", f"{left} {'try' if left == 1 else 'tries'} left")
        await says(desk, "000000", "no more tries for now")
        await says(desk, code_now(bench), "Too many wrong codes")
        await desk.restart()
        await says(desk, "/settings DAILY_LOSS_LIMIT 10%", "Your code, please")
        bench.system.advance(timedelta(seconds=totp.PERIOD))
        await says(desk, code_now(bench), "no code counts before")
        bench.system.advance(WRONG_COUNTS_FOR)
        await says(desk, "/settings DAILY_LOSS_LIMIT 10%", "Your code, please")
        await says(desk, code_now(bench), "Daily loss limit: 4% → 10%")


@pytest.mark.parametrize(
    ("name", "words", "risky"),
    [
        ("mode", "auto", True),
        ("mode", "observe", False),
        ("mode", "", False),
        ("unlock", "drawdown *", True),
        ("unlock", "drawdown-*", True),
        ("settings", "", False),
        ("settings", "risk", False),
        ("settings", "STOP_LOSS", False),
        ("settings", "STOP_LOSS 4%", True),
        ("settings", "set-STOP_LOSS-0.04", True),
        ("settings", "env-STOP_LOSS", True),
        ("settings", "type-STOP_LOSS", False),
        ("settings", "undo-7", True),
        ("settings", "profile", False),
        ("settings", "profile-aggressive", True),
        ("settings", "profile aggressive", True),
        ("settings", "PROFILE aggressive", True),
        ("settings", "env-PROFILE", True),
        ("settings", "set-TIME_ZONE-UTC", False),
        ("settings", "AWAY_DAYS 3", False),
        ("pause", "2h", False),
        ("flatten", "yes", False),
    ],
)
def test_what_makes_things_safer_or_only_looks_wants_no_code(name: str, words: str, risky: bool) -> None:
    assert raises_risk(name, words) is risky
