"""What the live record does to entries, and that it does nothing to exits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.orders import Purpose, Side
from core.domain.skill import ALL, Standing, Standings, Trust
from core.domain.views import Health
from core.execution.live_skill import SKILL, keep_standings, look_at_skill
from core.strategy.decide import decide
from core.strategy.policy import Policy, Strategy, Throttle
from core.strategy.snapshot import Snapshot
from tests.builders import COIN, Bench
from tests.snapshot_builders import NOW, FixedPredictor, account_view, guard, market, position, snapshot

pytestmark = pytest.mark.feature("S6")

POLICY = Policy()
SURE = FixedPredictor({"SPY": 0.7, "QQQ": 0.7})
WHY = "live forecasts of SPY that came due: 60 (20 independent), log loss 0.8 against 0.69 of the base rate"


def doubted(**trusts: Trust) -> Standings:
    names = {symbol.replace("EVERYTHING", ALL): trust for symbol, trust in trusts.items()}
    return Standings("", {symbol: Standing(symbol, trust, WHY, NOW) for symbol, trust in names.items()})


def seen(standings: Standings, *symbols: str) -> Snapshot:
    return replace(snapshot(*(market(symbol) for symbol in symbols or ("SPY",))), standings=standings)


def test_an_asset_that_is_observed_only_is_not_bought_and_the_others_are() -> None:
    decision = decide(seen(doubted(SPY=Trust.OBSERVED), "SPY", "QQQ"), SURE, POLICY)
    assert [order.symbol for order in decision.orders] == ["QQQ"]
    veto = decision.signals[0].veto
    assert veto is not None
    assert (veto.gate, veto.reason) == ("skill", f"observed only: {WHY}")


def test_an_asset_that_is_throttled_is_bought_at_half_the_size() -> None:
    (whole,) = decide(seen(Standings()), SURE, POLICY).orders
    decision = decide(seen(doubted(SPY=Trust.THROTTLED)), SURE, POLICY)
    (half,) = decision.orders
    assert (whole.quantity, half.quantity) == (24, 12)
    (size,) = (each for each in decision.signals[0].verdicts if each.gate == "size")
    assert size.reason == "12 units for 1,200.00 USD, half of the 24 that the limits allow"
    (gate,) = (each for each in decision.signals[0].verdicts if each.gate == "skill")
    assert (gate.passed, gate.reason) == (True, f"half the size: {WHY}")


def test_a_half_that_no_venue_takes_is_none() -> None:
    (order,) = decide(seen(Standings(), "SPY"), SURE, replace(POLICY, max_asset_fraction=Decimal("0.0102"))).orders
    assert order.quantity == 1
    policy = replace(POLICY, max_asset_fraction=Decimal("0.0102"))
    decision = decide(seen(doubted(SPY=Trust.THROTTLED)), SURE, policy)
    assert decision.orders == ()
    veto = decision.signals[0].veto
    assert veto is not None
    assert (veto.gate, veto.reason) == ("size", "half of 1 units is less than the smallest order")


@pytest.mark.parametrize("own", [Trust.TRUSTED, Trust.THROTTLED])
def test_what_holds_for_all_together_holds_for_each(own: Trust) -> None:
    standings = (
        doubted(EVERYTHING=Trust.OBSERVED) if own is Trust.TRUSTED else doubted(EVERYTHING=Trust.OBSERVED, SPY=own)
    )
    decision = decide(seen(standings, "SPY", "QQQ"), SURE, POLICY)
    assert decision.orders == ()
    assert [each.veto.gate for each in decision.signals if each.veto] == ["skill", "skill"]


def test_the_owner_may_have_it_ignored_and_the_plain_rule_has_no_forecasts() -> None:
    standings = doubted(EVERYTHING=Trust.OBSERVED)
    ignored = decide(seen(standings), SURE, replace(POLICY, skill_throttle=Throttle.IGNORED))
    assert ignored.orders == decide(seen(Standings()), SURE, POLICY).orders != ()
    by_rule = replace(POLICY, strategy=Strategy.RULE)
    assert decide(seen(standings), SURE, by_rule).orders == decide(seen(Standings()), SURE, by_rule).orders


def test_no_doubt_holds_back_a_sale() -> None:
    held = account_view("0", position("SPY", "3", "300"), guards=[guard("SPY", "101", "200")])
    below = replace(snapshot(accounts=[held]), standings=doubted(EVERYTHING=Trust.OBSERVED, SPY=Trust.OBSERVED))
    (order,) = decide(below, SURE, POLICY).orders
    assert (order.side, order.purpose, order.quantity) == (Side.SELL, Purpose.EXIT, 3)


def keep(bench: Bench, standings: Standings) -> None:
    with bench.database.unit_of_work() as work:
        keep_standings(work, standings)
        work.commit()


def test_a_model_that_is_observed_only_enters_nothing_and_what_it_bought_keeps_its_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path).start()
    assert bench.tick().submitted == 1
    keep(bench, doubted(EVERYTHING=Trust.OBSERVED))
    bench.bar(100.0)
    assert bench.tick().fills == 1
    bench.bar(94.0, 94.0, 90.0, 92.0)
    assert bench.tick().fills == 1
    assert bench.read(lambda work: work.portfolio("simulated")).positions == {}
    bench.clock.advance(timedelta(hours=2))
    bench.bar(101.0)
    assert bench.tick().submitted == 0
    signal = bench.read(lambda work: work.last_signals())[COIN]
    skill = next(each for each in signal.verdicts if each.gate == "skill")
    assert (skill.passed, skill.reason) == (False, f"observed only: {WHY}")
    bench.close()


def test_health_says_that_the_model_makes_no_entries_until_it_makes_them_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path).start()
    seen = []
    for standings in (
        Standings(),
        doubted(EVERYTHING=Trust.THROTTLED),
        doubted(EVERYTHING=Trust.OBSERVED),
        Standings(),
    ):
        keep(bench, standings)
        look_at_skill(bench.desk)
        state, reason = bench.health.states[SKILL]
        seen.append((state, reason.partition(":")[0]))
    assert seen == [
        (Health.RUNNING, "forecasts hold against the base rate"),
        (Health.RUNNING, "entries have half their size"),
        (Health.DEGRADED, "the model makes no entries, exits go on"),
        (Health.RUNNING, "forecasts hold against the base rate"),
    ]
    bench.close()
