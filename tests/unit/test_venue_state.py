"""How a broker's account stands with us: which looks change it, and of which changes the owner hears."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import AccessRefused, MalformedAnswer, RateLimited, Transient, Unreachable, WrongAddress
from core.execution.failures import FAILURES, Trouble, trouble_of
from core.execution.venue_state import WELL, Change, Look, Phase, VenueState, after
from core.strategy.policy import Policy

NOON = datetime(2026, 11, 25, 17, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = Policy()
GOOD = Look()


def walk(
    looks: list[Look], state: VenueState = WELL, start: datetime = NOON
) -> tuple[VenueState, list[tuple[int, Change]]]:
    """The state after a look a minute, and in which minute what was told."""
    told = []
    for minute, look in enumerate(looks):
        state, change = after(state, look, POLICY, start + minute * MINUTE)
        if change is not None:
            told.append((minute, change))
    return state, told


def bad(trouble: Trouble = Trouble.OUTAGE) -> Look:
    return Look(trouble, "its words")


@pytest.mark.feature("S11")
@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (AccessRefused("401"), Trouble.KEYS),
        (WrongAddress("paper keys"), Trouble.ADDRESS),
        (Unreachable("timed out"), Trouble.OUTAGE),
        (RateLimited("429"), Trouble.LIMITED),
        (MalformedAnswer("HTML"), Trouble.MALFORMED),
        (Transient("500"), Trouble.OUTAGE),
    ],
)
def test_a_failed_call_is_known_for_what_it_is(error: Transient, trouble: Trouble) -> None:
    assert trouble_of(error) is trouble


@pytest.mark.feature("S11")
@pytest.mark.parametrize("trouble", Trouble)
def test_every_failure_has_a_sentence_something_to_do_and_a_limit_or_none(trouble: Trouble) -> None:
    failure = FAILURES[trouble]
    assert failure.says and failure.advice.endswith(".")
    state, told = walk([bad(trouble)] * 30)
    limits = {Trouble.KEYS: 2, Trouble.ADDRESS: 0, Trouble.BLOCKED: 0}
    limit = None if trouble in (Trouble.REPLACED, Trouble.CLOCK) else limits.get(trouble, 10)
    fell = [minute for minute, change in told if change is Change.FELL_BACK]
    assert fell == ([] if limit is None else [limit])
    assert state.phase is (Phase.TROUBLED if limit is None else Phase.FALLEN_BACK)
    assert [minute for minute, change in told if change is Change.TROUBLED] == (
        [] if limit == 0 or failure.asks else [0 if failure.is_definite else 1]
    )


@pytest.mark.feature("S11")
def test_a_call_that_fails_once_is_no_message() -> None:
    assert walk([bad(), GOOD, GOOD, bad(), GOOD]) == (WELL, [])


@pytest.mark.feature("S11")
def test_a_failure_met_again_within_the_same_tick_is_not_yet_certain() -> None:
    state, _ = after(WELL, bad(), POLICY, NOON)
    state, change = after(state, bad(), POLICY, NOON)
    assert change is None
    assert after(state, bad(), POLICY, NOON + MINUTE)[1] is Change.TROUBLED


@pytest.mark.feature("S11")
def test_a_return_takes_more_than_one_good_look_and_some_time() -> None:
    state, _ = walk([bad()] * 11)
    once, change = after(state, GOOD, POLICY, NOON + 11 * MINUTE)
    again, change_again = after(once, GOOD, POLICY, NOON + 11 * MINUTE)
    assert (change, change_again) == (None, None)
    assert once.is_fallen and again.is_fallen
    assert after(again, GOOD, POLICY, NOON + 12 * MINUTE) == (WELL, Change.RETURNED)


@pytest.mark.feature("S11")
def test_a_venue_that_answers_every_second_time_neither_falls_back_nor_chatters() -> None:
    state, told = walk([bad(), bad(), *[GOOD, bad()] * 40])
    assert told == [(1, Change.TROUBLED)]
    assert state.phase is Phase.TROUBLED


@pytest.mark.feature("S11")
def test_keys_that_are_refused_in_the_midst_of_an_outage_are_told_for_he_can_mend_them() -> None:
    looks = [*[bad()] * 3, bad(Trouble.KEYS), bad(), bad(Trouble.KEYS), bad(Trouble.KEYS)]
    assert walk(looks)[1] == [(1, Change.TROUBLED), (3, Change.TROUBLED)]
    fallen, _ = walk([bad()] * 12)
    assert walk([bad(Trouble.KEYS)] * 3, fallen, NOON + 12 * MINUTE)[1] == [(0, Change.TROUBLED)]


@pytest.mark.feature("S11")
def test_a_broker_that_is_back_with_another_time_takes_sales_again() -> None:
    fallen, _ = walk([bad()] * 11)
    state, told = walk([bad(Trouble.CLOCK)] * 4, fallen, NOON + 11 * MINUTE)
    assert told == [(1, Change.RETURNED), (2, Change.TROUBLED)]
    assert (state.phase, state.trouble) == (Phase.TROUBLED, Trouble.CLOCK)


@pytest.mark.feature("S11")
def test_a_long_outage_leaves_nothing_to_write_down_each_minute() -> None:
    state, _ = walk([bad()] * 15)
    later = Look(Trouble.OUTAGE, "timed out after 5.0123 s")
    assert after(state, later, POLICY, NOON + 15 * MINUTE) == (state, None)


@pytest.mark.feature("S11")
@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([GOOD, *(bad(each) for each in Trouble)]), max_size=60))
def test_whatever_comes_a_change_is_told_once_and_only_what_was_told_returns(looks: list[Look]) -> None:
    state, told, outage = WELL, list[Change](), list[tuple[Change, Trouble | None]]()
    for minute, look in enumerate(looks):
        before = state
        state, change = after(state, look, POLICY, NOON + minute * MINUTE)
        if change is Change.RETURNED:
            assert outage and look.is_sendable and state == WELL
            outage = []
        elif change is not None:
            assert (change, state.trouble) not in outage
            assert change is not Change.FELL_BACK or not before.is_fallen
            outage.append((change, state.trouble))
            told.append(change)
        assert not (before.is_fallen and state.phase is Phase.TROUBLED)
        assert state != WELL or not outage
    assert replace(state) == state
