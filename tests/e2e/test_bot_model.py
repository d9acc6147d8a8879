"""/model from the chat (I7, S5): looked at, gone back from on Confirm, trained at a tap."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.model_desk import ModelDesk
from core.clock import VirtualClock
from core.domain.events import ModelRestored
from core.storage.store import Database
from tests.bot_line import Line, a_line, buttons_of
from tests.fakes_owner import NOON
from tests.model_builders import FIRST, SECOND, model_store, two_models


def desk_of(folder: Path, train: Callable[[], object]) -> Callable[[Database], ModelDesk]:
    def build(ledger: Database) -> ModelDesk:
        store = model_store(folder / "models")
        with ledger.unit_of_work() as work:
            two_models(work, folder / "models")
            work.commit()
        return ModelDesk(ledger.unit_of_work, ledger.reading, store, VirtualClock(NOON), train)

    return build


def in_use(line: Line) -> str:
    with line.ledger.reading() as work:
        model = work.champion()
    return model.version if model is not None else ""


@pytest.mark.feature("I7")
@pytest.mark.feature("S5")
async def test_the_former_model_is_shown_beside_the_one_in_use_and_back_on_confirm(tmp_path: Path) -> None:
    async with a_line(tmp_path, models=desk_of(tmp_path, lambda: None)) as line:
        await line.person.sends("/model")
        shown = await line.message_with(f"Model {SECOND}")
        (back,) = (label for label in buttons_of(shown) if label.startswith("⏪ Go back"))
        await line.tap(shown, back)
        card = await line.message_with(f"Go back to model {FIRST}?")
        assert f"{SECOND} → {FIRST}" in card["text"]
        assert "Nothing is trained by itself for 30 d" in card["text"]
        assert in_use(line) == SECOND
        await line.tap(card, f"⏪ Go back to {FIRST}")
        await line.until_said(f"Model {FIRST} is in use again from the next tick on")
        assert in_use(line) == FIRST
        with line.ledger.reading() as work:
            assert any(isinstance(row.event, ModelRestored) for row in work.messages())
            assert any("model" in record.action for record in work.audit_trail())
        await line.person.sends("/model")
        held = await line.message_with("You went back to it on")
        await line.tap(held, "▶️ Train on")
        await line.until_said("Training goes on")


@pytest.mark.feature("S5")
async def test_a_changed_file_is_refused_and_the_card_stays(tmp_path: Path) -> None:
    async with a_line(tmp_path, models=desk_of(tmp_path, lambda: None)) as line:
        (tmp_path / "models" / f"{FIRST}.joblib").write_bytes(b"another one")
        await line.person.sends("/model back")
        card = await line.message_with(f"Go back to model {FIRST}?")
        await line.tap(card, f"⏪ Go back to {FIRST}")
        await line.until_said(f"{FIRST}.joblib has SHA-256")
        assert in_use(line) == SECOND


@pytest.mark.feature("I7")
async def test_a_tap_trains_at_once_and_once_at_a_time(tmp_path: Path) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    def train() -> None:
        begun.set()
        goes_on.wait(10)

    async with a_line(tmp_path, models=desk_of(tmp_path, train)) as line:
        await line.person.sends("/model")
        shown = await line.message_with(f"Model {SECOND}")
        await line.tap(shown, "🎓 Train now")
        await line.until_said("Training now")
        assert begun.wait(10)
        await line.tap(shown, "🎓 Train now")
        await line.until_said("Training is under way already")
        goes_on.set()
