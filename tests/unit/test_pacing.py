"""Manners towards a source: calls are spaced, refusals are answered with pauses, and one caller alone tries again."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.adapters.pacing import FastLane, Pacer, Pause, Restraint
from core.errors import RateLimited, Transient, Unreachable, next_try
from tests.fakes_bars import StillClock

NOW = datetime(2024, 11, 27, 16, 2, 17, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
STRICT = Pause(MINUTE, 16 * MINUTE)
PATIENT = Pause(timedelta(seconds=20), 2 * MINUTE, patience=3)


@pytest.fixture
def clock() -> StillClock:
    return StillClock(NOW)


@pytest.fixture
def restraint(clock: StillClock) -> Restraint:
    return Restraint(clock.now, np.random.default_rng(3))


def refuse(restraint: Restraint, pause: Pause = STRICT, at_least: timedelta = timedelta(0)) -> Transient:
    return restraint.refused(RateLimited, "asks us to slow down", pause, at_least)


def test_calls_are_spaced_and_the_first_waits_for_nobody() -> None:
    slept: list[float] = []
    pacer = Pacer(0.5, lambda: 100.0, slept.append)
    assert all(pacer.wait() for _ in range(3))
    assert slept == [0.5, 1.0]


def test_who_cannot_have_a_turn_in_time_takes_none() -> None:
    slept: list[float] = []
    pacer = Pacer(0.5, lambda: 100.0, slept.append)
    assert pacer.wait()
    assert not pacer.wait(until=100.4)
    assert pacer.wait(until=100.5)
    assert slept == [0.5]


def test_what_is_urgent_overtakes_the_queue_and_those_in_it_wait_the_longer() -> None:
    slept: list[float] = []
    pacer = Pacer(0.5, lambda: 100.0, slept.append)
    urgent = FastLane(pacer, 2.0)
    assert all(pacer.wait() for _ in range(3))
    assert urgent.wait() and urgent.wait()
    assert pacer.wait()
    assert slept == [0.5, 1.0, 2.5]


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), min_size=1, max_size=60))
def test_whatever_is_urgent_all_together_keep_the_pace_but_for_what_may_go_ahead(
    story: list[tuple[float, bool]],
) -> None:
    spacing, ahead = 0.5, 5.0
    now, turns, waited = 0.0, list[float](), 0.0

    def sleep(seconds: float) -> None:
        nonlocal waited
        waited = seconds

    pacer = Pacer(spacing, lambda: now, sleep)
    urgent = FastLane(pacer, ahead)
    for gap, is_urgent in story:
        now, waited = now + gap, 0.0
        assert urgent.wait() if is_urgent else pacer.wait()
        turns.append(now + waited)
    for start in turns:
        for length in (1.0, 10.0, 60.0):
            assert sum(start <= turn <= start + length for turn in turns) <= (length + ahead) / spacing + 2


@given(st.lists(st.floats(0, 3), min_size=1, max_size=30), st.floats(0.1, 2))
def test_whatever_comes_when_no_two_turns_are_closer_than_the_spacing(gaps: list[float], spacing: float) -> None:
    now, turns, waited = 0.0, list[float](), 0.0

    def sleep(seconds: float) -> None:
        nonlocal waited
        waited = seconds

    pacer = Pacer(spacing, lambda: now, sleep)
    for gap in gaps:
        now, waited = now + gap, 0.0
        assert pacer.wait()
        turns.append(now + waited)
    assert all(later - earlier >= spacing - 1e-9 for earlier, later in pairwise(turns))


@pytest.mark.feature("S14")
def test_pauses_double_up_to_the_longest_and_are_longer_by_at_most_a_quarter(
    restraint: Restraint, clock: StillClock
) -> None:
    for expected in (1, 2, 4, 8, 16, 16, 16):
        error = refuse(restraint)
        assert error.retry_at is not None
        pause = error.retry_at - clock.time
        assert expected * MINUTE <= pause <= expected * 1.25 * MINUTE
        clock.time = error.retry_at
    restraint.succeeded()
    first = refuse(restraint)
    assert first.retry_at is not None
    assert first.retry_at - clock.time <= 1.25 * MINUTE, "an answer ends the series"


def test_pauses_of_two_machines_differ_and_those_of_one_seed_do_not(clock: StillClock) -> None:
    def first_pause(seed: int) -> datetime | None:
        return refuse(Restraint(clock.now, np.random.default_rng(seed))).retry_at

    assert first_pause(1) == first_pause(1) != first_pause(2)


def test_what_the_source_itself_asks_for_is_the_least(restraint: Restraint, clock: StillClock) -> None:
    error = refuse(restraint, at_least=timedelta(hours=1))
    assert error.retry_at == NOW + timedelta(hours=1)
    with pytest.raises(RateLimited, match="next try 2024-11-27 17:03 UTC"):
        restraint.check()


def test_during_a_pause_everybody_hears_what_it_is_for_and_when_it_ends(
    restraint: Restraint, clock: StillClock
) -> None:
    error = refuse(restraint)
    for seconds in (0, 30, 59):
        clock.time = NOW + timedelta(seconds=seconds)
        with pytest.raises(RateLimited) as told:
            restraint.check()
        assert (str(told.value), told.value.retry_at) == (str(error), error.retry_at)
    assert error.retry_at is not None
    clock.time = error.retry_at
    restraint.check()


def test_answers_that_were_under_way_when_the_pause_began_do_not_lengthen_it(restraint: Restraint) -> None:
    first = refuse(restraint)
    assert {refuse(restraint).retry_at for _ in range(5)} == {first.retry_at}
    assert restraint.refusals == 1


def test_patience_lets_a_few_failures_pass_and_an_answer_between_them_starts_it_anew(restraint: Restraint) -> None:
    def fail() -> datetime | None:
        return restraint.refused(Unreachable, "did not answer", PATIENT).retry_at

    assert [fail(), fail()] == [None, None]
    restraint.succeeded()
    assert [fail(), fail()] == [None, None]
    assert fail() is not None


def test_after_a_pause_one_alone_tries_and_the_others_wait_for_what_he_finds(
    restraint: Restraint, clock: StillClock
) -> None:
    error = refuse(restraint)
    assert error.retry_at is not None
    clock.time = error.retry_at
    inside, release, entered = threading.Event(), threading.Event(), list[str]()

    def probe() -> None:
        with restraint.admitted(5):
            entered.append("probe")
            inside.set()
            release.wait(10)
            restraint.succeeded()

    def other(name: str) -> None:
        with restraint.admitted(5):
            entered.append(name)

    first = threading.Thread(target=probe)
    first.start()
    assert inside.wait(10)
    with pytest.raises(RateLimited, match="being asked whether that is over"), restraint.admitted(0.01):
        raise AssertionError("two tried at once")
    others = [threading.Thread(target=other, args=(name,)) for name in ("b", "c")]
    for thread in others:
        thread.start()
    assert entered == ["probe"]
    release.set()
    for thread in (first, *others):
        thread.join(10)
    assert entered[0] == "probe"
    assert sorted(entered[1:]) == ["b", "c"]


def test_when_the_try_fails_those_who_waited_ask_nothing(restraint: Restraint, clock: StillClock) -> None:
    error = refuse(restraint)
    assert error.retry_at is not None
    clock.time = error.retry_at
    inside, release, heard = threading.Event(), threading.Event(), list[str]()

    def probe() -> None:
        with restraint.admitted(5):
            inside.set()
            release.wait(10)
            refuse(restraint)

    def other() -> None:
        try:
            with restraint.admitted(5):
                heard.append("asked")
        except RateLimited as refused:
            heard.append(str(refused))

    threads = [threading.Thread(target=probe), threading.Thread(target=other)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    release.set()
    for thread in threads:
        thread.join(10)
    assert len(heard) == 1
    assert heard[0].startswith("asks us to slow down; next try")


@given(st.lists(st.tuples(st.integers(0, 4_000), st.sampled_from(["answer", "refuse", "fail"])), max_size=60))
def test_whatever_happens_a_pause_is_kept_to_the_second_and_forgotten_with_the_first_answer(
    story: list[tuple[int, str]],
) -> None:
    """Only who was let in hears an answer, as with real calls."""
    clock = StillClock(NOW)
    restraint = Restraint(clock.now, np.random.default_rng(5))
    resume_at: datetime | None = None
    for seconds, what in story:
        clock.time += timedelta(seconds=seconds)
        if resume_at is not None and clock.time < resume_at:
            with pytest.raises(Transient) as told, restraint.admitted(0):
                raise AssertionError("let in during a pause")
            assert told.value.retry_at == resume_at
            continue
        with restraint.admitted(0):
            if what == "answer":
                restraint.succeeded()
                assert restraint.refusals == 0
                resume_at = None
                continue
            pause = STRICT if what == "refuse" else PATIENT
            resume_at = restraint.refused(Unreachable, "did not answer", pause).retry_at
            assert resume_at is None or clock.time < resume_at <= clock.time + 1.25 * pause.longest


def test_the_next_try_is_told_to_the_minute_and_never_too_early() -> None:
    assert next_try(NOW) == "next try 2024-11-27 16:03 UTC"
    assert next_try(NOW.replace(second=0)) == "next try 2024-11-27 16:02 UTC"
