"""A stop that is being withdrawn may be gone already: from the moment at which that is written down, until it is known
what became of it, the engine watches in its place, and sells once."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from core.clock import VirtualClock
from core.domain.orders import OrderState, Purpose
from core.domain.portfolio import Guard, GuardKind
from core.domain.values import ONE
from core.domain.venue import Resting
from core.domain.views import AnswerKind
from core.errors import Transient
from tests.builders import COIN, MONDAY, Bench
from tests.fakes_chaos import ChaosVenue
from tests.guard_stage import HUNDRED, TEN, a_stage_over, hold, watch

SOLD = [(Purpose.EXIT, TEN)]


class Mute(ChaosVenue):
    """Cancels what it is told to, or nothing while it `keeps`, and says no word more afterwards."""

    falls_silent = False
    keeps = False

    def cancel(self, client_order_id: str) -> None:
        if not self.keeps:
            super().cancel(client_order_id)
        if self.falls_silent:
            self.is_down = True
            raise Transient("the venue did not answer")

    def speak(self) -> None:
        self.falls_silent, self.keeps, self.is_down = False, False, False


def a_stage(folder: Path, rests: Resting) -> tuple[Bench, Mute]:
    """Ten units at 100 USD whose stop rests at 95."""
    bench, venue = a_stage_over(folder, Mute(VirtualClock(MONDAY), lambda _symbol: HUNDRED, rests=rests))
    hold(bench, venue)
    watch(bench, 2)
    assert the_guard(bench).kind is GuardKind.VENUE
    return bench, venue


@pytest.fixture(params=[Resting.STOP, Resting.PAIR])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Bench, Mute]:
    return a_stage(tmp_path, request.param)


def the_guard(bench: Bench) -> Guard:
    (found,) = bench.read(lambda work: work.guards("simulated"))
    return found  # type: ignore[no-any-return]


def the_stop(bench: Bench) -> OrderState:
    (newest, *_) = [each for each in bench.read(lambda work: work.orders("simulated")) if each.purpose is Purpose.STOP]
    return newest.state  # type: ignore[no-any-return]


def live(venue: ChaosVenue) -> list[tuple[Purpose, Decimal]]:
    return [(each.purpose, each.quantity - each.filled_quantity) for each in venue.live()]


def asks_to_sell(bench: Bench) -> None:
    """What has the stop withdrawn, whatever may rest there."""
    bench.owner.flatten("owner")
    watch(bench)


@pytest.mark.feature("S13")
def test_the_engine_watches_from_the_very_commit_that_withdraws_the_stop(stage: tuple[Bench, Mute]) -> None:
    bench, _ = stage
    seen = list[GuardKind]()

    def looks(checkpoint: str) -> None:
        if checkpoint == "withdraw.after_commit":
            seen.append(the_guard(bench).kind)

    bench.checkpoint = looks
    asks_to_sell(bench)
    assert seen == [GuardKind.ENGINE]


@pytest.mark.feature("S13")
@pytest.mark.parametrize("keeps", [False, True])
def test_a_cancellation_whose_fate_is_unknown_leaves_the_engine_watching_at_the_same_levels(
    stage: tuple[Bench, Mute], keeps: bool
) -> None:
    bench, venue = stage
    before = the_guard(bench)
    venue.falls_silent, venue.keeps = True, keeps
    asks_to_sell(bench)
    after = the_guard(bench)
    assert the_stop(bench) is OrderState.CANCEL_PENDING
    assert (after.kind, after.stop, after.target) == (GuardKind.ENGINE, before.stop, before.target)
    assert all(order.purpose is not Purpose.EXIT for order in venue.live()), "not before it is sure"


@pytest.mark.feature("S13")
def test_what_was_withdrawn_without_a_word_is_sold_at_its_stop_once_that_is_known(tmp_path: Path) -> None:
    bench, venue = a_stage(tmp_path, Resting.STOP)
    bench.bar(94.0)
    venue.falls_silent = True
    watch(bench, 2)
    assert live(venue) == [], "its stop is gone, and nobody has said so"
    venue.speak()
    assert watch(bench) == "1 exits sent"
    assert live(venue) == SOLD


@pytest.mark.feature("S13")
def test_what_a_silent_venue_kept_and_sold_meanwhile_is_not_sold_again(stage: tuple[Bench, Mute]) -> None:
    bench, venue = stage
    (stop,) = [each for each in venue.live() if each.purpose is Purpose.STOP]
    venue.falls_silent, venue.keeps = True, True
    asks_to_sell(bench)
    venue.fill(stop.client_order_id, TEN, Decimal(95))
    venue.speak()
    watch(bench, 3)
    assert [request for request in venue.requests if request.purpose is Purpose.EXIT] == []
    assert (venue.positions, bench.read(lambda work: work.guards())) == ({}, [])


@pytest.mark.feature("S13")
def test_a_stop_whose_end_the_next_look_shows_is_followed_by_the_sale_in_the_same_minute(
    stage: tuple[Bench, Mute],
) -> None:
    """The cancellation arrived, and only its answer was lost."""
    bench, venue = stage
    venue.cancel_is_silent = True
    asks_to_sell(bench)
    assert live(venue) == SOLD


@pytest.mark.feature("C3")
@pytest.mark.feature("S13")
def test_a_sale_that_the_owner_asked_for_in_vain_leaves_the_engine_watching(stage: tuple[Bench, Mute]) -> None:
    bench, venue = stage
    venue.falls_silent = True
    answer = bench.owner.close(COIN, ONE, "owner", "tap-1")
    assert (answer.kind, "nothing was sold" in answer.text) == (AnswerKind.REFUSED, True)
    assert the_guard(bench).kind is GuardKind.ENGINE


@pytest.mark.feature("S13")
def test_a_stop_that_somebody_else_is_cancelling_is_watched_and_placed_anew_when_it_is_gone(
    stage: tuple[Bench, Mute],
) -> None:
    """As its owner may, in the broker's own app."""
    bench, venue = stage
    (stop,) = [each for each in venue.live() if each.purpose is Purpose.STOP]
    venue.book[stop.client_order_id] = replace(stop, state=OrderState.CANCEL_PENDING)
    watch(bench)
    assert (the_guard(bench).kind, the_guard(bench).stop) == (GuardKind.ENGINE, 95)
    assert [purpose for purpose, _ in live(venue) if purpose is Purpose.STOP] == [Purpose.STOP], "no second one"
    venue.end(stop.client_order_id, OrderState.CANCELED)
    watch(bench, 2)
    assert the_guard(bench).kind is GuardKind.VENUE
