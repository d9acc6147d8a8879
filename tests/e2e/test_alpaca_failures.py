"""Each way in which Alpaca can fail as a whole, by the real adapter before the loopback Alpaca: known for what it is,
acted on after its own time, and over when it is over (S11)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from core.adapters.alpaca_transport import AlpacaKeys
from core.domain.accounts import Mode
from core.domain.events import BrokerFellBack, BrokerReturned, BrokerTroubled, QuestionAsked
from core.execution.failures import FAILURES, Trouble
from core.execution.venue_state import Phase, state_of
from tests.servers.alpaca_http import KEY_ID, SECRET
from tests.servers.alpaca_trading_server import AlpacaTradingServer
from tests.story_revoked_key import PAPER, House, house_at

Steer = Callable[[AlpacaTradingServer], object]


def fault(name: str) -> Steer:
    return lambda server: server.faults.standing.update({"/v2/": name})


def blocked(is_so: bool) -> Steer:
    return lambda server: setattr(server.venue.account, "trading_blocked", is_so)


def skewed(seconds: int) -> Steer:
    return lambda server: setattr(server, "skew", timedelta(seconds=seconds))


def cleared(server: AlpacaTradingServer) -> None:
    server.faults.clear()


CASES: dict[str, tuple[Trouble, Steer, Steer]] = {
    "revoked keys": (Trouble.KEYS, AlpacaTradingServer.revoke_keys, AlpacaTradingServer.restore_keys),
    "a blocked account": (Trouble.BLOCKED, blocked(True), blocked(False)),
    "a gateway's 502": (Trouble.OUTAGE, fault("502"), cleared),
    "too many requests": (Trouble.LIMITED, fault("429"), cleared),
    "a page instead of an answer": (Trouble.MALFORMED, fault("page"), cleared),
    "clocks apart": (Trouble.CLOCK, skewed(95), skewed(0)),
}
QUICK = {Trouble.KEYS, Trouble.BLOCKED}
MINUTES = {Trouble.KEYS: 2, Trouble.BLOCKED: 0, Trouble.CLOCK: None}


def events(house: House, kind: type) -> list[object]:
    with house.database.reading() as work:
        return [row.event for row in work.messages(limit=1_000) if isinstance(row.event, kind)]


@pytest.mark.feature("S11")
@pytest.mark.feature("C6")
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[] if CASES[case][0] in QUICK else pytest.mark.long) for case in CASES]
)
def test_a_failure_is_known_lasts_its_time_and_ends(case: str, tmp_path: Path) -> None:
    trouble, breaks, mends = CASES[case]
    with house_at(tmp_path) as house:
        house.open(AlpacaKeys(KEY_ID, SECRET))
        breaks(house.server)
        limit = MINUTES.get(trouble, 10)
        last = 12 if limit is None else limit
        house.guards(*(f"10:{minute:02}" for minute in range(last + 1)))
        with house.database.reading() as work:
            state, mode = state_of(work, PAPER.id), house.desk.mode(work)
        assert (state.trouble, state.phase) == (trouble, Phase.TROUBLED if limit is None else Phase.FALLEN_BACK)
        assert mode is (Mode.AUTO if limit is None else Mode.MANUAL)
        told = [*events(house, BrokerTroubled), *events(house, BrokerFellBack)]
        assert {event.says for event in told} == {FAILURES[trouble].says}  # type: ignore[attr-defined]
        assert len(events(house, BrokerFellBack)) == (limit is not None)
        mends(house.server)
        house.guards(*(f"10:{minute:02}" for minute in range(last + 1, last + 9)))
        with house.database.reading() as work:
            assert house.desk.mode(work) is Mode.AUTO
        assert len(events(house, BrokerReturned)) == 1
        assert not [call for call in house.server.calls if call.method == "POST"]


@pytest.mark.feature("M13")
def test_a_paper_account_that_was_reset_is_a_question(tmp_path: Path) -> None:
    with house_at(tmp_path) as house:
        house.open(AlpacaKeys(KEY_ID, SECRET))
        house.guards("10:00")
        house.server.reset_account()
        house.guards("10:01", "10:02")
        (asked,) = events(house, QuestionAsked)
        assert "PA3TESTS0002" in asked.text and "PA3TESTS0001" in asked.text  # type: ignore[attr-defined]
        assert events(house, BrokerTroubled) == []
