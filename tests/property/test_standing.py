"""Which source a series comes from, whatever the sources do: no flapping, no change without its cause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.feed.standing import Round, Rules, Standing, Turn, after, may_leave, may_probe

START = datetime(2024, 3, 4, 14, 30, tzinfo=UTC)
BEST, SECOND, THIRD = "yahoo", "alpaca", "files"
CHAIN = (BEST, SECOND, THIRD)
RULES = Rules()
STEP = timedelta(minutes=5)

Change = tuple[datetime, Turn, Standing, Standing]


def played(up: list[dict[str, bool]], gaps: list[int]) -> tuple[list[Change], Standing, datetime]:
    """Rounds in which each source answers or not, as the collector makes them; every change, with what was before."""
    standing, now, changes = Standing(BEST), START, []
    for answers, minutes in zip(up, gaps, strict=True):
        now += timedelta(minutes=minutes)
        own, other, best = answers[standing.source], None, None
        if not own and may_leave(standing, now, RULES):
            other = next((name for name in CHAIN if name != standing.source and answers[name]), None)
        if may_probe(standing, BEST, now):
            best = answers[BEST]
        before = standing
        standing, turn = after(before, Round(own, other, best), BEST, now, RULES)
        if turn is None:
            assert (standing.source, standing.held) == (before.source, before.held)
        else:
            changes.append((now, turn, before, standing))
            check(turn, before, standing, answers)
    return changes, standing, now


def check(turn: Turn, before: Standing, now: Standing, answers: dict[str, bool]) -> None:
    """Each change is what it is called, and its cause is there."""
    assert (before.source, before.held) != (now.source, now.held)
    match turn:
        case Turn.MOVED:
            assert now.source not in (before.source, BEST)
        case Turn.RETURNED:
            assert now.source == BEST
            assert before.source != BEST
        case Turn.HELD:
            assert (before.held, now.held, now.source) == (False, True, before.source)
            assert not answers[before.source]
        case Turn.RESUMED:
            assert (before.held, now.held, now.source) == (True, False, before.source)
    assert now.held or answers[now.source]
    if turn in (Turn.MOVED, Turn.HELD):
        failing = before.failures + 1
        assert failing >= RULES.failures or before.failing_since is not None


ANSWERS = st.fixed_dictionaries({name: st.booleans() for name in CHAIN})


@pytest.mark.feature("S2")
@settings(deadline=None)
@given(st.lists(st.tuples(ANSWERS, st.sampled_from([1, 5, 5, 5, 10, 60])), max_size=80))
def test_whatever_the_sources_do_no_two_changes_lie_within_the_window(
    rounds: list[tuple[dict[str, bool], int]],
) -> None:
    changes, _, _ = played([answers for answers, _ in rounds], [minutes for _, minutes in rounds])
    assert all(later[0] - earlier[0] >= RULES.window for earlier, later in pairwise(changes))


@pytest.mark.feature("S2")
@settings(deadline=None)
@given(st.lists(st.tuples(ANSWERS, st.sampled_from([1, 5, 30])), max_size=40), st.sampled_from(CHAIN))
def test_in_the_end_it_is_the_best_source_that_answers(rounds: list[tuple[dict[str, bool], int]], only: str) -> None:
    """However it began, two hours are enough: for the one source that answers, for the best where all of them do."""
    up = [answers for answers, _ in rounds]
    gaps = [minutes for _, minutes in rounds]
    _, standing, _ = played([*up, *[{name: name == only for name in CHAIN}] * 24], [*gaps, *[5] * 24])
    assert (standing.source, standing.held) == (only, False)
    everything = dict.fromkeys(CHAIN, True)
    _, standing, _ = played([*up, *[everything] * 24], [*gaps, *[5] * 24])
    assert (standing.source, standing.held) == (BEST, False)


@settings(deadline=None)
@given(st.lists(st.tuples(ANSWERS, st.sampled_from([5, 10])), min_size=24, max_size=60))
def test_a_source_that_answers_every_third_time_is_never_left(rounds: list[tuple[dict[str, bool], int]]) -> None:
    up = [answers | {BEST: number % 2 == 0 or answers[BEST]} for number, (answers, _) in enumerate(rounds)]
    changes, standing, _ = played(up, [5] * len(up))
    assert changes == []
    assert standing.source == BEST


@pytest.mark.feature("S2")
def test_a_day_with_an_outage_makes_one_change_and_one_return() -> None:
    def at(hour: int, minute: int) -> int:
        return 60 * hour + minute

    minutes = range(at(14, 35), at(21, 0), 5)
    up = [{BEST: not at(16, 0) <= minute < at(18, 0), SECOND: True, THIRD: False} for minute in minutes]
    changes, _, _ = played(up, [5] * len(up))
    assert [(f"{now:%H:%M}", turn, one.source) for now, turn, _, one in changes] == [
        ("16:10", Turn.MOVED, SECOND),
        ("18:50", Turn.RETURNED, BEST),
    ]
    up = [answers | {SECOND: False} for answers in up]
    changes, _, _ = played(up, [5] * len(up))
    assert [(f"{now:%H:%M}", turn, one.held) for now, turn, _, one in changes] == [
        ("16:10", Turn.HELD, True),
        ("18:05", Turn.RESUMED, False),
    ]


def test_while_it_fails_the_best_source_is_tried_ever_more_rarely() -> None:
    standing, now, waits = Standing(SECOND), START, []
    while now < START + timedelta(hours=4):
        if may_probe(standing, BEST, now):
            standing, _ = after(standing, Round(True, None, False), BEST, now, RULES)
            assert standing.probe_at is not None
            waits.append(int((standing.probe_at - now) / timedelta(minutes=1)))
        now += STEP
    assert waits[:5] == [5, 10, 20, 30, 30]


def test_the_best_source_is_gone_back_to_after_several_answers_however_rarely_it_is_asked() -> None:
    standing, now, answers = Standing(SECOND), START, 0
    turn = None
    while turn is None:
        now, answers = now + timedelta(hours=1), answers + 1
        standing, turn = after(standing, Round(True, None, True), BEST, now, RULES)
    assert (turn, answers) == (Turn.RETURNED, RULES.answers)
