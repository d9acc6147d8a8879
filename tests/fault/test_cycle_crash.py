"""A crash at every commit and every outside call of a cycle: the next start sorts it out."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import pytest

from core.checkpoints import CHECKPOINTS
from core.cycle import recover
from core.domain.events import InstructionIssued, InstructionSettled, OrderFilled, OrderRefused, SignalRaised
from core.domain.orders import OrderState, Purpose
from core.domain.portfolio import GuardKind
from tests.builders import COIN, Bench, an_entry, an_exit


class Crashed(BaseException):
    """Unwinds everything, as nothing in the product catches it."""


class CrashAt:
    """Counts the checkpoints; dies at the one chosen by its place in the order, if any."""

    def __init__(self, place: int | None = None) -> None:
        self.place = place
        self.trail: list[str] = []

    def __call__(self, name: str) -> None:
        self.trail.append(name)
        if len(self.trail) - 1 == self.place:
            raise Crashed(name)


def a_day(bench: Bench) -> None:
    """An entry, its fill, its stop; the manual account has money, so that a card is made too."""
    bench.tick()
    bench.bar(100.0)
    bench.tick()
    bench.bar(94.0, 94.0, 90.0, 92.0)
    bench.tick()


def ready(folder: Path) -> Bench:
    bench = Bench(folder).start()
    bench.declare_cash()
    return bench


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an installation on which nothing was traded yet, to be copied."""
    folder = tmp_path_factory.mktemp("installation")
    ready(folder).close()
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every checkpoint that the day passes, in order."""
    bench = ready(tmp_path_factory.mktemp("undisturbed"))
    watch = CrashAt()
    bench.checkpoint = watch
    a_day(bench)
    bench.close()
    return watch.trail


def crash_and_recover(folder: Path, place: int) -> tuple[Bench, str]:
    bench = Bench(folder)
    watch = CrashAt(place)
    bench.checkpoint = watch
    with pytest.raises(Crashed):
        a_day(bench)
    bench.checkpoint = lambda name: None
    bench.restart()
    recover(bench.desk, bench.clock.now())
    bench.tick()
    return bench, watch.trail[-1]


def check_invariants(bench: Bench, where: str) -> None:
    account = bench.venue.state()
    portfolio = bench.read(lambda work: work.portfolio("simulated"))
    held = {symbol: position.quantity for symbol, position in portfolio.positions.items()}
    assert held == dict(account.positions), where
    assert portfolio.cash == account.cash, where
    entries = [
        order
        for order in bench.read(lambda work: work.orders("simulated"))
        if order.purpose is Purpose.ENTRY and order.state is not OrderState.REJECTED
    ]
    assert len({order.client_order_id for order in entries}) == len(entries), where
    assert sum(order.is_live for order in entries) <= 1, where
    assert len(portfolio.positions) + sum(order.is_live for order in entries) <= 1, where
    guarded = {guard.symbol for guard in bench.read(lambda work: work.guards("simulated"))}
    assert guarded == set(held), where
    assert bench.database.verify() == [], where


def check_events(bench: Bench, where: str) -> None:
    fills = [entry for entry in bench.read(lambda work: list(work.entries("simulated"))) if hasattr(entry, "purpose")]
    assert [event.at for event in bench.events(OrderFilled)] == [fill.at for fill in fills], where
    sent = [order for order in bench.read(lambda work: work.orders("simulated")) if order.purpose is Purpose.ENTRY]
    assert len(bench.events(SignalRaised)) == len(sent), where
    refused = [order for order in sent if order.state is OrderState.REJECTED]
    assert len(bench.events(OrderRefused)) == len(refused), where
    cards = bench.read(lambda work: work.instructions())
    assert [event.number for event in bench.events(InstructionIssued)] == sorted(card.number for card in cards), where


@pytest.mark.feature("T8")
@pytest.mark.feature("S14")
def test_a_crash_at_any_checkpoint_of_a_trade_leaves_one_order_the_venues_position_and_every_event(
    tmp_path: Path, undisturbed: list[str], installation: Path
) -> None:
    for place, name in enumerate(undisturbed):
        folder = tmp_path / f"{place}"
        shutil.copytree(installation, folder)
        bench, died_at = crash_and_recover(folder, place)
        where = f"crashed at checkpoint {place}, {died_at}"
        assert died_at == name
        check_invariants(bench, where)
        check_events(bench, where)
        bench.close()


def test_the_day_passes_the_checkpoints_of_both_sides_of_its_commits_and_calls(undisturbed: list[str]) -> None:
    assert set(undisturbed) <= set(CHECKPOINTS)
    for step in ("reconcile", "intents", "result", "protect"):
        assert (f"{step}.before_commit" in undisturbed) == (f"{step}.after_commit" in undisturbed)
    for name in ("intents.before_commit", "submit.before_call", "submit.after_call", "result.after_commit"):
        assert name in undisturbed


def crash_at(bench: Bench, name: str) -> None:
    def checkpoint(passed: str) -> None:
        if passed == name:
            raise Crashed(name)

    bench.checkpoint = checkpoint


def revive(bench: Bench) -> None:
    bench.checkpoint = lambda name: None
    bench.restart()
    recover(bench.desk, bench.clock.now())


def test_an_entry_that_never_left_is_given_up_and_told_of(tmp_path: Path) -> None:
    bench = ready(tmp_path)
    crash_at(bench, "submit.before_call")
    with pytest.raises(Crashed):
        bench.tick()
    revive(bench)
    (order,) = [each for each in bench.read(lambda work: work.orders("simulated")) if each.purpose is Purpose.ENTRY]
    assert order.state is OrderState.REJECTED
    assert "never reached" in bench.events(OrderRefused)[0].reason
    assert bench.venue.orders() == []


def test_the_first_card_is_there_wherever_the_tick_of_the_first_entry_was_cut_short(tmp_path: Path) -> None:
    bench = ready(tmp_path)
    crash_at(bench, "intents.after_commit")
    with pytest.raises(Crashed):
        bench.tick()
    revive(bench)
    bench.tick()
    (card,) = bench.owner.pending()
    assert card.account == "manual"


def test_an_entry_that_arrived_before_the_crash_is_adopted_and_filled_once(tmp_path: Path) -> None:
    bench = ready(tmp_path)
    crash_at(bench, "submit.after_call")
    with pytest.raises(Crashed):
        bench.tick()
    revive(bench)
    (order,) = bench.read(lambda work: work.live_orders("simulated"))
    assert order.state is OrderState.ACCEPTED
    bench.bar(100.0)
    bench.tick()
    assert bench.order(order.client_order_id).state is OrderState.FILLED
    assert len(bench.events(OrderFilled)) == 1
    assert [guard.kind for guard in bench.read(lambda work: work.guards())] == [GuardKind.VENUE]


def test_an_exit_that_never_left_is_sent_again_under_its_own_id(tmp_path: Path) -> None:
    bench = ready(tmp_path)
    bench.tick()
    bench.bar(100.0)
    bench.reconcile()
    held = bench.read(lambda work: work.portfolio("simulated")).quantity(COIN)
    out = an_exit(bench, quantity=held)
    crash_at(bench, "submit.before_call")
    with pytest.raises(Crashed):
        bench.place(out)
    revive(bench)
    assert bench.order(out.client_order_id).state is OrderState.ACCEPTED
    bench.bar(101.0)
    bench.reconcile()
    assert bench.order(out.client_order_id).state is OrderState.FILLED
    assert bench.venue.state().positions == {}
    assert bench.read(lambda work: work.live_orders("simulated")) == []


def approved_after_crash(folder: Path, place: int) -> str:
    """Approves a waiting order, dies at a checkpoint, starts again and taps once more; returns where it died."""
    bench = Bench(folder)
    bench.place(an_entry(bench, state=OrderState.AWAITING_OWNER))
    (card,) = bench.owner.pending()
    watch = CrashAt(place)
    bench.checkpoint = watch
    with contextlib.suppress(Crashed):
        bench.owner.execute(card.number, card.version, "tap-1")
    bench.checkpoint = lambda name: None
    bench.restart()
    recover(bench.desk, bench.clock.now())
    bench.owner.execute(card.number, card.version, "tap-1")
    bench.bar(100.0)
    bench.reconcile()
    where = f"crashed at {watch.trail[-1]}"
    order = bench.order(card.client_order_id)
    held = bench.venue.state().positions.get(COIN, 0)
    assert (order.state, held) in ((OrderState.FILLED, 10), (OrderState.REJECTED, 0)), where
    assert bench.read(lambda work: work.portfolio("simulated")).quantity(COIN) == held, where
    told = "filled 10" if held else "never reached the broker"
    assert told in bench.events(InstructionSettled)[-1].detail, where
    bench.close()
    return watch.trail[-1] if len(watch.trail) > place else ""


@pytest.mark.feature("T3")
@pytest.mark.feature("T8")
def test_a_crash_during_an_approval_leaves_one_order_or_none_and_the_card_says_which(
    tmp_path: Path, installation: Path
) -> None:
    place, died_at = 0, "start"
    while died_at:
        folder = tmp_path / f"{place}"
        shutil.copytree(installation, folder)
        died_at = approved_after_crash(folder, place)
        place += 1
    assert place > 6


@pytest.mark.feature("S12")
def test_a_crash_while_a_manual_fill_is_booked_books_it_once_or_not_at_all(tmp_path: Path, installation: Path) -> None:
    for place in range(4):
        folder = tmp_path / f"{place}"
        shutil.copytree(installation, folder)
        bench = Bench(folder)
        card = bench.instruct()
        bench.checkpoint = CrashAt(place)
        with pytest.raises(Crashed):
            bench.owner.execute(card.number, card.version, "tap-1")
        bench.checkpoint = lambda name: None
        bench.restart()
        recover(bench.desk, bench.clock.now())
        bench.owner.execute(card.number, card.version, "tap-1")
        assert bench.read(lambda work: work.portfolio("manual")).quantity(COIN) == 10
        assert len(bench.events(OrderFilled)) == 1
        content = json.loads((folder / "signals" / "manual_trades.json").read_text())
        assert content["instructions"][0]["state"] == "executed"
        bench.close()
