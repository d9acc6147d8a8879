"""Whatever happens in whatever order, nothing reaches a live account without its owner's word for that account."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.domain.accounts import Mode
from core.domain.views import AnswerKind
from tests.live_bench import NUMBER, LiveBench

OTHER = "987654321"
NUMBERS = st.sampled_from([NUMBER, NUMBER, OTHER])


class Life(RuleBasedStateMachine):
    """`word` is the number that the owner's word holds for, None without one."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.bench = LiveBench(Path(self.folder.name), wished=Mode.AUTO)
        self.word: str | None = None
        self.seen = 0
        self.attempt = 0

    def teardown(self) -> None:
        self.bench.close()
        self.folder.cleanup()

    @rule()
    def a_minute_passes(self) -> None:
        self.bench.look()
        self.bench.reconcile()

    @rule(number=NUMBERS)
    def the_owner_gives_his_word(self, number: str) -> None:
        if self.bench.owner.allow_real_money(number, "owner").kind is AnswerKind.DONE:
            assert number == self.bench.allowed == self.bench.live.number
            self.word = number
            self.bench.owner.set_mode(Mode.AUTO, "owner")

    @rule()
    def he_takes_it_back(self) -> None:
        self.bench.owner.stop_real_money("owner")
        self.word = None
        # What waits there is withdrawn with his word.
        self.seen = len(self.bench.live.touched)

    @rule(number=NUMBERS, is_away=st.booleans())
    def the_venue_changes(self, number: str, is_away: bool) -> None:
        self.bench.live.number, self.bench.live.is_away = number, is_away

    @rule(allowed=NUMBERS, keyless=st.sampled_from([False, False, True]))
    def a_start_with_settings(self, allowed: str, keyless: bool) -> None:
        number, is_away = self.bench.live.number, self.bench.live.is_away
        self.bench.allowed, self.bench.keyless = allowed, keyless
        self.bench.restart()
        if not keyless:
            self.bench.live.number, self.bench.live.is_away, self.seen = number, is_away, 0
        if keyless or allowed != self.word:
            self.word = None

    @rule(price=st.sampled_from([100.5, 80.0, 130.0]))
    def the_market_moves(self, price: float) -> None:
        self.bench.bar(price)
        self.bench.tick()

    @rule()
    def he_asks_for_a_sale(self) -> None:
        self.attempt += 1
        self.bench.owner.flatten("owner")
        self.bench.owner.exit_all()
        self.bench.owner.unlock(next(iter(self.bench.owner.locks())).kind, "*", "owner")

    @invariant()
    def nothing_was_sent_without_his_word_for_the_account(self) -> None:
        touched = len(self.bench.live.touched)
        if touched > self.seen:
            assert self.word is not None
            assert self.word == self.bench.allowed == self.bench.live.number
        self.seen = touched


TestLife = pytest.mark.feature("S10")(Life.TestCase)
TestLife.settings = settings(max_examples=12, stateful_step_count=14, deadline=None)
