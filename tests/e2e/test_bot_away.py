"""The owner who is away, in the chat: what /status and /locks say of it, and what of his ends it; on a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.domain.decisions import BrakeKind
from core.execution import away
from tests.bot_bench import Desk, a_desk, tokens
from tests.bot_line import eventually
from tests.builders import Bench

LONG = timedelta(days=15)
HELD = "Away, everything: No sign of you for 15 days"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path).start()
    away.look(bench.desk)
    yield bench
    bench.close()


async def he_goes(desk: Desk) -> None:
    desk.bench.clock.advance(LONG)
    desk.bench.system.advance(LONG)
    await desk.does(away.look, desk.bench.desk)
    assert BrakeKind.AWAY in brakes(desk.bench)


def brakes(bench: Bench) -> list[BrakeKind]:
    return [brake.kind for brake in bench.read(lambda work: work.brakes())]


async def newest(desk: Desk) -> list[str]:
    return [each.get("text", "") for each in await desk.person.sees()]


@pytest.mark.feature("C1")
@pytest.mark.feature("C7")
@pytest.mark.feature("C9")
async def test_status_names_the_absence_and_the_question_itself_ends_it(tmp_path: Path, bench: Bench) -> None:
    async with a_desk(tmp_path, bench) as desk:
        await he_goes(desk)
        held = await desk.message("🛑 Brake: away, everything")
        assert "any message or tap ends it. No new entries until then; exits and stops go on." in held["text"]
        await desk.restart()
        await desk.person.sends("/status")
        shown = await desk.message(HELD)
        assert "No new entries meanwhile; exits go on. /locks releases it." in shown["text"]
        assert "PAUSED" not in shown["text"]
        await desk.message("Welcome back")
        assert brakes(bench) == []
        await desk.person.sends("/status")
        await eventually(lambda: desk.phone.is_owed() == 0)
        await desk.message("💚 RUNNING")
        answers = [text for text in await newest(desk) if "Last cycle" in text]
        assert [HELD in text for text in answers] == [True, False]


@pytest.mark.feature("C7")
@pytest.mark.parametrize("said", ["/unlock away", "a button of /locks"])
async def test_an_absence_is_released_by_name_with_what_happened_meanwhile_and_once(
    tmp_path: Path, bench: Bench, said: str
) -> None:
    async with a_desk(tmp_path, bench) as desk:
        await he_goes(desk)
        if said.startswith("/"):
            await desk.person.sends(said)
            await desk.message("Released: away on everything.")
        else:
            await desk.person.sends("/locks")
            locks = await desk.message("1 brake in force")
            assert "Away · everything" in locks["text"] and "until you write or tap anything" in locks["text"]
            await desk.message("Welcome back")
            await desk.person.taps(locks["message_id"], tokens(locks)[0])
            await desk.message("The brake away is not in force: nothing had to be released.")
        await desk.message("Welcome back")
        assert brakes(bench) == []
        told: list[Any] = [text for text in await newest(desk) if "Welcome back" in text]
        assert len(told) == 1


@pytest.mark.feature("C1")
async def test_an_absence_and_a_pause_hold_apart_and_the_return_ends_only_the_absence(
    tmp_path: Path, bench: Bench
) -> None:
    async with a_desk(tmp_path, bench) as desk:
        await desk.person.sends("/pause")
        await desk.message("Paused until you send /resume")
        await he_goes(desk)
        await desk.person.sends("/status")
        both = await desk.message(HELD)
        assert "PAUSED" in both["text"].splitlines()[0]
        await desk.message("Welcome back")
        assert brakes(bench) == [BrakeKind.PAUSED]
        assert bench.tick().submitted == 0
        await desk.person.sends("/resume")
        await desk.message("Active in mode auto")
        assert brakes(bench) == []
