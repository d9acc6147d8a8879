"""The owner's hand on a position, in the chat: the real bot against the local Bot API server."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.confirmations import find, newest_open
from core.clock import SystemClock
from core.domain.views import AnswerKind, OwnerAnswer
from tests.bot_line import Line, a_line, eventually
from tests.fakes_owner import FakeOwner


async def message_with(line: Line, words: str) -> dict[str, Any]:
    await line.until_said(words)
    return next(message for message in reversed(await line.person.sees()) if words in message.get("text", ""))


def buttons(message: dict[str, Any]) -> list[str]:
    return [button["callback_data"] for row in message["reply_markup"]["inline_keyboard"] for button in row]


def audited(line: Line, action: str) -> int:
    with line.ledger.reading() as work:
        return sum(record.action.startswith(action) for record in work.audit_trail(1000))


@pytest.mark.feature("C3")
@pytest.mark.feature("U2")
async def test_closing_half_shows_what_how_much_and_at_about_which_price_and_sells_once_when_confirmed(
    tmp_path: Path,
) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/close spy 40%")
        card = await message_with(line, "SPY: sell 40% of it")
        assert card["text"].splitlines()[0] == "🧾 SPY: sell 40% of it, +$4.92? · PAPER"
        for fact in ("2 of 5", "522.46", "$1,044.92", "cancelled first"):
            assert fact in card["text"]
        assert line.owner.calls == []
        yes, no = buttons(card)
        for button in (yes, yes, yes, no):
            await line.person.taps(card["message_id"], button)
        await line.until_said("the sale is with the broker")
        await eventually(lambda: audited(line, "tap c") == 4)
        ((deed, symbol, fraction, by, tap),) = line.owner.calls
        assert (deed, symbol, fraction, by) == ("close", "SPY", Decimal("0.4"), "owner")
        assert tap.startswith("confirmed:")
        over = next(entry for entry in await line.person.sees() if entry["message_id"] == card["message_id"])
        assert not over.get("reply_markup")


@pytest.mark.feature("C3")
async def test_a_confirmation_card_survives_a_restart(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/close SPY")
        card = await message_with(line, "SPY: sell it")
    async with a_line(tmp_path) as line:
        await line.person.taps(card["message_id"], buttons(card)[0])
        await line.until_said("the sale is with the broker")
        assert [call[:3] for call in line.owner.calls] == [("close", "SPY", Decimal(1))]


@pytest.mark.feature("C3")
async def test_a_failed_sale_is_reported_and_the_same_button_tries_again(tmp_path: Path) -> None:
    class Deaf(FakeOwner):
        def close(self, symbol: str, fraction: Decimal, by: str, tap: str) -> OwnerAnswer:
            given = super().close(symbol, fraction, by, tap)
            if len(self.calls) > 1:
                return given
            return OwnerAnswer(AnswerKind.REFUSED, "simulated does not answer: nothing of SPY was sold.")

    async with a_line(tmp_path, Deaf()) as line:
        await line.person.sends("/close SPY all")
        card = await message_with(line, "SPY: sell it")
        await line.person.taps(card["message_id"], buttons(card)[0])
        await line.until_said("nothing of SPY was sold")
        await line.person.taps(card["message_id"], buttons(card)[0])
        await line.until_said("the sale is with the broker")
        assert len({call[4] for call in line.owner.calls}) == 1


@pytest.mark.feature("U1")
async def test_cancel_drops_what_waits_and_its_button_does_nothing_then(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/cancel")
        await line.until_said("Nothing waits for your confirmation")
        await line.person.sends("/close SPY")
        card = await message_with(line, "SPY: sell it")
        await line.person.sends("/cancel")
        await line.until_said("Selling SPY: dropped")
        await line.person.taps(card["message_id"], buttons(card)[0])
        await eventually(lambda: audited(line, "tap confirm"))
        assert line.owner.calls == []


@pytest.mark.feature("C3")
@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("/close", "Which asset?"),
        ("/close GOLD", "No account holds GOLD. Held: SPY."),
        ("/close SPY 50", "in percent of what is held"),
        ("/close SPY 0%", "in percent of what is held"),
        ("/close SPY 101%", "in percent of what is held"),
        ("/close SPY 1%", "less than can be sold"),
        ("/close SPY half", "2 of 5"),
        ("/close $spy 99,5 %", "4 of 5"),
        ("/stop SPY 1,240", "could be"),
        ("/stop SPY 530", "would sell at once"),
        ("/target SPY 520", "would sell at once"),
        ("/stop SPY 0", "above zero"),
        ("/stop", "Which asset?"),
    ],
)
async def test_what_cannot_be_done_or_read_is_said_and_nothing_is_guessed(
    tmp_path: Path, said: str, answer: str
) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends(said)
        await line.until_said(answer)
        assert line.owner.calls == []


@pytest.mark.feature("C4")
async def test_a_new_stop_is_shown_beside_the_old_one_with_its_distance_and_its_risk(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/stop SPY 500")
        card = await message_with(line, "SPY: move the stop to 500.00?")
        for fact in ("494.00 (−5.4%)", "500.00 (−4.3%)", "−$112.30", "−$100.00 in all", "· PAPER"):
            assert fact in card["text"]
        assert line.owner.calls == []
        await line.person.taps(card["message_id"], buttons(card)[0])
        await line.until_said("levels moved")
        ((deed, symbol, stop, target, by, _),) = line.owner.calls
        assert (deed, symbol, stop, target, by) == ("move_levels", "SPY", Decimal(500), None, "owner")


@pytest.mark.feature("C4")
async def test_the_buttons_under_positions_ask_for_just_the_number(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/positions")
        shown = await message_with(line, "1 position")
        assert buttons(shown) == ["m:close-SPY", "m:stop-SPY", "m:target-SPY"]
        await line.person.taps(shown["message_id"], "m:target-SPY")
        question = await message_with(line, "SPY: new target?")
        await line.person.sends("six hundred", reply_to=question["message_id"])
        await line.until_said("Nothing was changed")
        await line.person.sends("$610,50", reply_to=question["message_id"])
        card = await message_with(line, "SPY: move the target to 610.50?")
        await line.person.taps(card["message_id"], buttons(card)[0])
        await line.until_said("levels moved")
        assert [call[:4] for call in line.owner.calls] == [("move_levels", "SPY", None, Decimal("610.50"))]
        await line.person.sends("611")
        await line.until_said("I answer commands")


@pytest.mark.feature("U1")
async def test_cancel_drops_a_question_that_waits_for_words(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/stop SPY")
        await line.until_said("SPY: new stop?")
        with line.ledger.reading() as work:
            asked = newest_open(work, SystemClock().now())
        await line.person.sends("/cancel")
        await line.until_said("New stop of SPY: dropped")
        await line.person.sends("495")
        await line.until_said("I answer commands")
        assert asked is not None
        with line.ledger.reading() as work:
            assert find(work, asked.token) is not None
            assert newest_open(work, SystemClock().now()) is None


@pytest.mark.feature("U1")
async def test_cancel_drops_a_typed_trade_or_a_card_whichever_was_asked_last(tmp_path: Path) -> None:
    async with a_line(tmp_path) as line:
        await line.person.sends("/close SPY")
        await line.until_said("SPY: sell it")
        await line.person.sends("/bought 10 SPY @ 512.30")
        await eventually(lambda: line.owner.drafts)
        (draft,) = line.owner.drafts.values()
        line.owner.drafts = {draft.token: replace(draft, expires_at=SystemClock().now() + timedelta(minutes=15))}
        await line.person.sends("/cancel")
        await eventually(lambda: not line.owner.drafts)
        await line.person.sends("/cancel")
        await line.until_said("Selling SPY: dropped")
        assert not [call for call in line.owner.calls if call[0] in ("close", "confirm")]
