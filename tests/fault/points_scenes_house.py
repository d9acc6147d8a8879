"""Scenes of the house itself: news and their delivery, the gate, jobs, the founding, the simulated venue."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
from telegram import Update

from bot.commands import hand, waiting
from bot.commands.model import model
from bot.commands.notices import notify, quiet
from bot.commands.settings import settings
from bot.commands.table import DEEDS
from bot.commands.talk import Request
from bot.confirmations import ConfirmToken, newest_open
from bot.conversation import Conversation
from bot.delivery import drain_silently
from bot.importing import Importer, ImportOptions
from bot.restoring import _settle as settle_restored
from bot.second_factor import SecondFactor
from core.adapters.bar_folder import BarFolder
from core.checkpoints import calling
from core.domain.accounts import Mode
from core.domain.events import ModelRestored, ModelTrained
from core.domain.records import JobOutcome, QuestionChoice
from core.feed.bar_files import Wanted
from jobs.table import CONTEST, GUARD, REPORT, RETRAIN, TICK
from tests.fault.kill_setup import stump
from tests.fault.points_house import CHAMPION, COIN, WINNER, House, Scene, Step
from tests.fault.points_steps import (
    BUY_CARD,
    DAY,
    Do,
    all_of,
    answered,
    delivered,
    executed,
    holds,
    job,
    order,
)
from tests.forest_builders import save
from tests.series_builders import series_of

DAY_END = Scene(
    "a day is reported, predictions are scored, a model is trained",
    (
        Step(order("set_mode", Mode.OBSERVE, "owner")),
        Step(job(TICK)),
        Step(job(RETRAIN)),
        Step(job(REPORT), 8 * 60),
        Step(
            lambda house: house.database.bars.write_all([(each, "scripted") for each in _later_days(house)]), 12 * DAY
        ),
        Step(job(REPORT)),
        Step(delivered),
    ),
)


def _later_days(house: House) -> list[Any]:
    from core.domain.bars import Bar, BarSize
    from core.series import BarSeries, time_of

    newest = time_of(house.desk.bars.read(COIN, BarSize.D1, house.clock.now(), 1).closed_at[-1])
    last = house.notes.get("newest day", newest.isoformat)
    start = type(newest).fromisoformat(last)
    days = [start + timedelta(days=number) for number in range(12)]
    bars = [Bar(COIN, BarSize.D1, day, day + timedelta(days=1), 100.0, 102.0, 99.0, 101.0, 1000.0) for day in days]
    return [BarSeries.of(COIN, BarSize.D1, bars)]


OUTBOX = tuple(
    Scene(
        f"the chat answers: {' and '.join(mishaps)}",
        (
            *BUY_CARD,
            Step(lambda house, mishaps=mishaps: house.chat_goes_wrong(*mishaps)),
            Step(delivered),
            Step(delivered, 2),
            Step(executed, 1),
            Step(answered(QuestionChoice.CANNOT)),
            Step(lambda house, mishaps=mishaps: house.chat_goes_wrong(*mishaps)),
            Step(delivered),
            Step(delivered, 2),
            Step(delivered, 2),
        ),
        venue="",
    )
    for mishaps in (
        ("lost",),
        ("lost, but arrived", "lost, but arrived", "lost, but arrived"),
        ("refused", "later", "refused"),
        ("later", "blocked", "too old"),
    )
)


def said(sender: int, text: str, number: int) -> Update:
    user = {"id": sender, "is_bot": False, "first_name": "Someone"}
    chat = {"id": sender, "type": "private", "first_name": "Someone"}
    message = {"message_id": number, "date": 1_790_000_000, "from": user, "chat": chat, "text": text}
    update = Update.de_json({"update_id": number, "message": message}, None)
    assert update is not None
    return update


def speaks(sender: int, text: str) -> Do:
    return lambda house: asyncio.run(house.gate.admit(said(sender, text, house.step + 1)))


def _an_update_fails(house: House) -> None:
    """The bot's error handler writes down what broke."""
    line = Conversation(house.talk, house.gate, house.transport, house.delivery, house.desk.ledger)
    context = type("Context", (), {"error": ValueError("a defect")})()
    if "told" not in house.notes:
        asyncio.run(line.on_error(None, context))
        house.notes["told"] = True


GATE = Scene(
    "somebody is paired, a stranger is refused, an update fails",
    (
        Step(speaks(222, "hello")),
        Step(speaks(111, "/start WRONGONE")),
        Step(speaks(111, "/start ABCDEFGH")),
        Step(speaks(333, "hello")),
        Step(_an_update_fails),
        Step(delivered),
    ),
    is_paired=False,
    varies="an update is handed out once; one that failed is told of by each process that met it",
)


def _a_manual_order_is_to_go(house: House) -> None:
    with house.desk.calling("cancel"):
        house.desk.brokers["manual"].cancel(house.owner.pending()[0].client_order_id)


HOUSEKEEPING = Scene(
    "the house is kept in order",
    (
        Step(job(TICK)),
        Step(job("lease")),
        Step(job("health")),
        Step(job("watch")),
        Step(order("pause", None, "owner")),
        Step(job("watch"), 5),
        Step(job("alarms"), 1),
        Step(job("alarms"), 1),
        Step(job("maintenance"), 1),
        Step(lambda house: house.runner.missed(house.jobs[TICK], house.clock.now(), JobOutcome.MISSED, "asleep")),
        Step(_a_manual_order_is_to_go),
        Step(delivered),
    ),
)


def _a_restore_is_settled(house: House) -> None:
    """What follows a restore, as `autotrader doctor --restore` does it."""
    epoch = house.notes.get("epoch", lambda: house.database.installation().epoch + 1)
    settle_restored(house.database, house.place, house.clock.now(), epoch, house.clock.now())
    house.database.begin_epoch(epoch)
    house.lease.acquire(house.clock.now())


RESTORED = Scene(
    "a restore is settled",
    (Step(order("set_mode", Mode.OBSERVE, "owner")), Step(_a_restore_is_settled), Step(delivered)),
    varies="what a restore tells is told by each process that came to it",
)
SILENT = Scene(
    "messages are drained as in a replay",
    (
        Step(job(TICK)),
        Step(lambda house: house.write(drain_silently, house.desk.ledger, house.clock, house.settings.zone)),
    ),
    is_silent=True,
)


def asks(command: Any, words: str) -> Do:
    return lambda house: asyncio.run(command(house.talk, Request(words, "owner", f"tap {house.step}")))


NOTICES = Scene(
    "the owner says what he wants to hear, and has the status kept up to date",
    (
        Step(asks(notify, "model off")),
        Step(asks(quiet, "22:00-07:00")),
        Step(asks(settings, "STOP_LOSS 4%")),
        Step(job("expiry")),
        Step(lambda house: house.write(house.owner.present), 20),
        Step(lambda house: house.write(lambda: house.talk.live.begin(pinned=True))),
        Step(delivered),
        Step(job(RETRAIN)),
        Step(lambda house: house.write(house.talk.live.refresh), 1),
        Step(delivered),
        Step(lambda house: house.write(house.talk.live.end), 1),
        Step(delivered),
    ),
)


def _confirms(house: House) -> None:
    """Taps the first button of the newest card, as a conversation does."""
    with house.desk.ledger() as work:
        asked = newest_open(work, house.clock.now())
    if asked is not None:
        house.write(waiting.answer, house.talk, ConfirmToken(asked.token, True), DEEDS)


BY_HAND = Scene(
    "the owner moves a stop and sells by hand, asked first",
    (
        Step(job(TICK)),
        Step(job(TICK), 5, (100.0,)),
        Step(asks(hand.stop, "BTC 97")),
        Step(_confirms),
        Step(asks(hand.close, "BTC 50%"), 1),
        Step(_confirms),
        Step(job(TICK), 4, (100.1,)),
        Step(job(TICK), 5, (100.2,)),
        Step(asks(hand.close, "BTC"), 1),
        Step(_confirms),
        Step(job(TICK), 4, (100.1,)),
        Step(job(TICK), 5, (100.2,)),
        Step(delivered),
    ),
    venue="simulated",
    expect=holds(account="simulated"),
    varies="a sale whose process died before its note is in the audit as a tap alone",
)


def _has_models(house: House) -> None:
    """Two that were in use one after the other."""
    with calling(house.checkpoint, "train"):
        made = [save(replace(stump(), version=name), house.settings.models_dir) for name in ("first", "second")]
    with house.desk.ledger() as work:
        if work.champion() is None:
            for each in made:
                work.add_model(each)
            work.commit("model")


def _is_back(house: House) -> None:
    with house.database.reading() as work:
        model = work.champion()
        told = [row.event for row in work.messages() if isinstance(row.event, ModelRestored)]
    assert model is not None
    assert model.version == "first"
    assert [event.version for event in told] == ["first"]


GONE_BACK = Scene(
    "the owner goes back to the former model",
    (
        Step(_has_models),
        Step(asks(model, "back first"), 1),
        Step(_confirms),
        Step(job(RETRAIN), 1),
        Step(delivered),
    ),
    venue="",
    expect=_is_back,
)


def _has_years(house: House) -> None:
    """A model that is forty days old, and eight years of bars in which nothing happens."""
    now = house.clock.now().replace(hour=0, minute=0)
    with calling(house.checkpoint, "train"):
        old = save(replace(stump(), version="first"), house.settings.models_dir)
    with house.desk.ledger() as work:
        if work.champion() is None:
            work.add_model(replace(old, recipe=CHAMPION, trained_at=now - timedelta(days=40)))
            work.commit("model")
    close = np.full(8 * 365, 100.0)
    house.database.bars.write(series_of(COIN, close, start=now - timedelta(days=len(close))), "scripted")


def _has_a_winner(house: House) -> None:
    with house.database.reading() as work:
        live, held = work.champion(), work.contests()
        told = [row.event for row in work.messages() if isinstance(row.event, ModelTrained)]
    assert live is not None
    assert live.recipe == WINNER
    assert [(each.number, each.winner) for each in held] == [(1, WINNER)]
    assert [(event.version, event.promoted) for event in told] == [(live.version, True)]


CONTESTED = Scene(
    "a recipe wins a contest and is live",
    (Step(_has_years), Step(job(CONTEST)), Step(job(CONTEST), DAY), Step(delivered)),
    venue="",
    expect=_has_a_winner,
)


def _types_a_code(house: House) -> object:
    """A wrong one: what is kept of it is how many there were, and that may be one more after a kill."""
    factor = SecondFactor("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", house.database.unit_of_work, house.clock)
    return house.write(lambda: factor.check("000000"))


CODE = Scene("a one-time code is checked", (Step(job(TICK)), Step(_types_a_code), Step(delivered)))
FAILED_JOB = Scene(
    "a job fails and works again",
    (
        Step(lambda house: house.runner.run(replace(house.jobs[RETRAIN], run=_breaks), house.clock.now())),
        Step(delivered),
    ),
    may_fail=True,
    varies="a failure is told of by each process that met it",
)


def _breaks(_due: object) -> str:
    raise ValueError("a defect")


def prices_are_down(down: bool) -> Do:
    return lambda house: house.notes.__setitem__("prices are down", down)


OTHER_BARS = Scene(
    "bars come from another source while the first is down",
    (
        Step(order("set_mode", Mode.OBSERVE, "owner")),
        Step(job(TICK)),
        Step(prices_are_down(True)),
        *(Step(job(TICK), 5, (100.1 + 0.01 * number,)) for number in range(8)),
        Step(delivered),
        Step(prices_are_down(False)),
        *(Step(job(TICK), 5, (100.2 + 0.01 * number,)) for number in range(16)),
        Step(delivered),
    ),
    spare=True,
)


def _imports(house: House) -> object:
    """Bars of a file, of a symbol that nobody trades."""
    file = house.outside / "IWM.csv"
    file.write_text("ts,open,high,low,close,volume\n2024-01-02,1,1,1,1,5\n2024-01-03,1,1.02,1,1.01,5\n")
    database, options = house.database, ImportOptions(file, Wanted())
    files = BarFolder(house.engine.calendar)
    done = Importer(options, files, database.bars, database.unit_of_work, house.clock, lambda _step: None)
    return [done.take(name) for name in files.find(file)[0]]


IMPORTED = Scene("bars are taken from a file", (Step(_imports), Step(_imports)))


FOUNDED = Scene(
    "an installation is founded and trades",
    (Step(job(TICK)), Step(job(TICK), 5, (100.0,)), Step(delivered)),
    venue="simulated",
    is_founded=False,
)
A_DAY = Scene(
    "the simulated venue trades",
    (
        Step(job(TICK)),
        Step(job(TICK), 5, (100.0,)),
        Step(job(GUARD), 1),
        Step(job(TICK), 4, (94.0, 94.0, 90.0, 92.0)),
        Step(job(GUARD), 1),
        Step(delivered),
    ),
    venue="simulated",
    expect=holds(account="simulated"),
)
WARNED = Scene(
    "a price comes near a stop and goes away again",
    (
        Step(job(TICK)),
        Step(job(TICK), 5, (100.0,)),
        Step(job(GUARD), 4, (95.9,)),
        *(Step(job(GUARD), 5, (98.0,)) for _ in range(4)),
        Step(delivered),
    ),
    venue="simulated",
)
ALL_SOLD = Scene(
    "the simulated venue sells everything",
    (
        Step(job(TICK)),
        Step(job(TICK), 5, (100.0,)),
        Step(all_of(order("flatten", "owner"), order("exit_all")), 1),
        Step(job(TICK), 4, (100.1,)),
        Step(job(TICK), 5, (100.1,)),
        Step(job(GUARD), 1),
        Step(delivered),
    ),
    venue="simulated",
    expect=holds(account="simulated"),
)
