"""Whatever order, repetition or delay a venue's fills arrive in, the ledger ends where the venue is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.domain.orders import FINAL, LIVE, Order, OrderState, OrderType, Purpose, Side
from core.domain.portfolio import CashKind, CashMovement, Fill, Portfolio
from core.domain.values import ZERO
from core.domain.venue import VenueAccount, VenueOrder
from core.execution.corrections import PATIENCE, Corrections, LocalTruth, VenueTruth, plan
from core.execution.fill_cursor import FillCursor

NOW = datetime(2024, 3, 4, 15, 0, tzinfo=UTC)
ACCOUNT = "simulated"
EXIT_GRACE = timedelta(minutes=1)
ENTRY_GRACE = PATIENCE * EXIT_GRACE
OPENING = CashMovement("opening", ACCOUNT, CashKind.DEPOSIT, Decimal(100_000), NOW)


def an_order(
    name: str, side: Side, quantity: int, state: OrderState = OrderState.ACCEPTED, symbol: str = "SPY"
) -> Order:
    purpose = Purpose.ENTRY if side is Side.BUY else Purpose.EXIT
    return Order(name, ACCOUNT, symbol, side, Decimal(quantity), purpose, "tick", 1, NOW, state)


def fills_of(order: Order, parts: list[int]) -> list[Fill]:
    """One fill a part, a minute apart; what is sold comes an hour later."""
    start = NOW + timedelta(hours=order.side is Side.SELL)
    return [
        Fill(
            f"{order.client_order_id}/{number}",
            ACCOUNT,
            order.client_order_id,
            order.symbol,
            order.side,
            Decimal(part),
            Decimal(100 + number),
            Decimal("0.5"),
            "USD",
            start + timedelta(minutes=number),
            order.purpose,
        )
        for number, part in enumerate(parts, start=1)
    ]


def at_venue(order: Order, fills: list[Fill]) -> VenueOrder:
    filled = sum((fill.quantity for fill in fills if fill.client_order_id == order.client_order_id), ZERO)
    return VenueOrder(
        order.client_order_id,
        f"v-{order.client_order_id}",
        order.symbol,
        order.side,
        order.quantity,
        filled,
        OrderState.FILLED if filled == order.quantity else OrderState.CANCELED,
        OrderType.MARKET,
        order.purpose,
        None,
        None,
        None,
    )


def venue_of(orders: list[Order], fills: list[Fill], shown: list[Fill]) -> VenueTruth:
    """The venue's whole truth of orders and positions, of whose fills only `shown` are told this time."""
    held = Portfolio(ACCOUNT)
    for fill in sorted(fills, key=lambda each: each.at):
        held = held.after(fill)
    return VenueTruth(
        {order.client_order_id: at_venue(order, fills) for order in orders},
        tuple(shown),
        VenueAccount(ZERO, {symbol: position.quantity for symbol, position in held.positions.items()}),
    )


def applied(local: LocalTruth, corrections: Corrections) -> LocalTruth:
    """What the ledger holds once the corrections are written."""
    portfolio = local.portfolio
    for fill in corrections.fills:
        portfolio = portfolio.after(fill)
    changed = {order.client_order_id: order for order in (*corrections.adopted, *corrections.orders)}
    return LocalTruth({**local.orders, **changed}, portfolio, local.booked | {fill.id for fill in corrections.fills})


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Order], list[Fill]]:
    bought = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    ordered = sum(bought) + draw(st.integers(0, 3))
    state = draw(st.sampled_from([OrderState.SUBMITTING, OrderState.ACCEPTED, OrderState.UNKNOWN]))
    entry = an_order("entry", Side.BUY, ordered, state)
    fills, orders = fills_of(entry, bought), [entry]
    sold = draw(st.integers(0, sum(bought)))
    if sold:
        out = an_order("exit", Side.SELL, sold)
        orders.append(out)
        fills += fills_of(out, [sold])
    return orders, fills


@settings(max_examples=200, deadline=None)
@given(histories(), st.data())
def test_shuffled_doubled_and_delayed_fills_end_in_the_venues_position(
    history: tuple[list[Order], list[Fill]], data: st.DataObject
) -> None:
    orders, fills = history
    local = LocalTruth({order.client_order_id: order for order in orders}, Portfolio(ACCOUNT).after(OPENING))
    for _ in range(3):
        some = data.draw(st.lists(st.sampled_from(fills), max_size=2 * len(fills)))
        # A fill that was shown once may be told again or not; what was sold is never told before what was bought.
        shown = [fill for fill in some if fill.side is Side.BUY]
        partial = plan(local, venue_of(orders, fills, shown), ACCOUNT, NOW)
        local = applied(local, partial)
    everything = data.draw(st.permutations(fills + fills))
    truth = venue_of(orders, fills, everything)
    local = applied(local, plan(local, truth, ACCOUNT, NOW))

    assert {name: held.quantity for name, held in local.portfolio.positions.items()} == dict(truth.account.positions)
    for order in orders:
        ours = local.orders[order.client_order_id]
        assert ours.filled_quantity == truth.orders[order.client_order_id].filled_quantity
        assert ours.state is truth.orders[order.client_order_id].state
    assert not plan(local, truth, ACCOUNT, NOW).changes_ledger
    assert plan(local, truth, ACCOUNT, NOW).differences == {}


def lone(order: Order, venue: VenueTruth, after: timedelta = timedelta(0)) -> Corrections:
    """The plan for one order, `after` its last change."""
    return plan(LocalTruth({order.client_order_id: order}, Portfolio(ACCOUNT)), venue, ACCOUNT, NOW + after)


def empty_venue(**changes: object) -> VenueTruth:
    venue = VenueTruth({}, (), VenueAccount(ZERO, {}), shows_within=EXIT_GRACE)
    return replace(venue, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", [OrderState.SUBMITTING, OrderState.UNKNOWN])
def test_an_entry_that_the_venue_never_had_is_given_up_and_an_exit_sent_again(state: OrderState) -> None:
    entry, out = an_order("entry", Side.BUY, 3, state), an_order("exit", Side.SELL, 3, state)
    given_up = lone(entry, empty_venue(missing=frozenset({"entry"})), ENTRY_GRACE)
    assert [order.client_order_id for order in given_up.never_arrived] == ["entry"]
    assert given_up.resend == ()
    again = lone(out, empty_venue(missing=frozenset({"exit"})), EXIT_GRACE)
    assert again.resend == ("exit",)
    assert not again.changes_ledger


@pytest.mark.parametrize("state", sorted(LIVE - {OrderState.AWAITING_OWNER}))
@pytest.mark.parametrize(("side", "grace"), [(Side.BUY, ENTRY_GRACE), (Side.SELL, EXIT_GRACE)])
def test_an_order_that_may_still_be_on_its_way_stays_as_it_is(state: OrderState, side: Side, grace: timedelta) -> None:
    """A venue may show an order later than it answers: nothing is concluded from that before the grace is over."""
    order = an_order("young", side, 3, state)
    young = lone(order, empty_venue(missing=frozenset({"young"})), grace - timedelta(seconds=1))
    assert not young.changes_ledger
    assert young.resend == ()


def test_an_order_that_the_venue_had_and_shows_no_more_is_in_doubt_before_it_is_over() -> None:
    order = replace(an_order("entry", Side.BUY, 3), venue_order_id="v-1")
    unseen = empty_venue(missing=frozenset({"entry"}))
    (doubted,) = lone(order, unseen, ENTRY_GRACE).orders
    assert doubted.state is OrderState.UNKNOWN
    soon, later = NOW + 2 * ENTRY_GRACE - timedelta(seconds=1), NOW + 2 * ENTRY_GRACE
    local = LocalTruth({"entry": doubted}, Portfolio(ACCOUNT))
    assert not plan(local, unseen, ACCOUNT, soon).changes_ledger
    (ended,) = plan(local, unseen, ACCOUNT, later).orders
    assert ended.state is OrderState.CANCELED
    shown = replace(at_venue(order, []), state=OrderState.ACCEPTED)
    (back,) = plan(local, empty_venue(orders={"entry": shown}), ACCOUNT, soon).orders
    assert back.state is OrderState.ACCEPTED


@pytest.mark.parametrize("state", [OrderState.REJECTED, OrderState.CANCELED, OrderState.EXPIRED])
def test_an_order_that_was_given_up_and_arrives_after_all_is_a_stray(state: OrderState) -> None:
    order = an_order("entry", Side.BUY, 3, state)
    working = replace(at_venue(order, []), state=OrderState.ACCEPTED)
    assert lone(order, empty_venue(orders={"entry": working})).strays == (working,)
    another = replace(working, quantity=Decimal(4))
    assert lone(order, empty_venue(orders={"entry": another})).strays == ()
    assert lone(order, empty_venue(orders={"entry": replace(working, state=OrderState.CANCELED)})).strays == ()


@pytest.mark.parametrize("state", sorted(OrderState))
def test_a_fill_is_booked_once_whatever_we_thought_of_its_order(state: OrderState) -> None:
    order = an_order("entry", Side.BUY, 3, state)
    fills = fills_of(order, [2, 3])
    local = LocalTruth({"entry": order}, Portfolio(ACCOUNT))
    truth = venue_of([order], fills, fills + fills)
    corrections = plan(local, truth, ACCOUNT, NOW)
    assert corrections.fills == tuple(fills)
    (after,) = corrections.orders
    assert after.filled_quantity == 5, "an overfill is what it is"
    assert after.state is (OrderState.REJECTED if state is OrderState.REJECTED else OrderState.FILLED)
    assert corrections.differences == {}
    assert not plan(applied(local, corrections), truth, ACCOUNT, NOW).changes_ledger


def test_an_order_turned_down_after_a_part_was_filled_is_over_with_that_part() -> None:
    order = an_order("entry", Side.BUY, 3)
    fills = fills_of(order, [2])
    truth = venue_of([order], fills, fills)
    turned = replace(truth.orders["entry"], state=OrderState.REJECTED)
    (after,) = lone(order, replace(truth, orders={"entry": turned})).orders
    assert (after.state, after.filled_quantity) == (OrderState.CANCELED, 2)


def test_about_a_symbol_with_an_order_in_doubt_nothing_is_said_and_nothing_about_the_cash() -> None:
    order = an_order("entry", Side.BUY, 3, OrderState.UNKNOWN)
    held = VenueAccount(Decimal(70), {"SPY": Decimal(3), "QQQ": Decimal(1)})
    doubtful = lone(order, empty_venue(account=held, silent=frozenset({"entry"})))
    assert dict(doubtful.differences) == {"QQQ": (ZERO, Decimal(1))}
    assert doubtful.unsettled == {"SPY"}
    assert doubtful.cash is None
    settled = lone(replace(order, state=OrderState.REJECTED), empty_venue(account=held))
    assert settled.differences.keys() == {"QQQ", "SPY"}
    assert settled.cash == (ZERO, Decimal(70))


ORDER_STATES = st.sampled_from(sorted(OrderState))


@st.composite
def any_answer(draw: st.DrawFn, side: Side) -> tuple[VenueTruth, timedelta]:
    """Anything that a venue could say about one order of 3, contradictions included, and how long after the last."""
    said = draw(st.sampled_from(["shown", "missing", "silent", "nothing"]))
    order = an_order("entry", side, 3)
    fills = draw(st.lists(st.sampled_from(fills_of(order, [1, 2, 3])), max_size=3))
    shown = VenueOrder(
        "entry",
        "v-1",
        draw(st.sampled_from(["SPY", "ZZZ"])),
        draw(st.sampled_from(sorted(Side))),
        Decimal(draw(st.integers(1, 4))),
        Decimal(draw(st.integers(0, 4))),
        draw(ORDER_STATES),
        OrderType.MARKET,
        order.purpose,
        None,
        None,
        None,
    )
    held = {"SPY": Decimal(draw(st.integers(-1, 4)))}
    truth = VenueTruth(
        {"entry": shown} if said == "shown" else {},
        tuple(fills),
        VenueAccount(ZERO, held),
        frozenset({"entry"}) if said == "missing" else frozenset(),
        frozenset({"entry"}) if said == "silent" else frozenset(),
        shows_within=EXIT_GRACE,
    )
    return truth, timedelta(minutes=draw(st.integers(0, 12)))


@settings(max_examples=300, deadline=None)
@given(ORDER_STATES, st.sampled_from(sorted(Side)), st.data())
def test_no_sequence_of_answers_asks_for_an_impossible_change(
    state: OrderState, side: Side, data: st.DataObject
) -> None:
    answers = data.draw(st.lists(any_answer(side), min_size=1, max_size=6))
    local, now = LocalTruth({"entry": an_order("entry", side, 3, state)}, Portfolio(ACCOUNT)), NOW
    for truth, passed in answers:
        now += passed
        corrections = plan(local, truth, ACCOUNT, now)
        before = local.orders["entry"]
        local = applied(local, corrections)
        after = local.orders["entry"]
        assert after.filled_quantity >= before.filled_quantity
        assert before.state not in FINAL or after.state in FINAL or after.filled_quantity > before.filled_quantity
    units = sum((fill.quantity if fill.side is Side.BUY else -fill.quantity for fill in _told(answers)), ZERO)
    assert local.portfolio.quantity("SPY") == units


def _told(answers: list[tuple[VenueTruth, timedelta]]) -> list[Fill]:
    return list({fill.id: fill for truth, _ in answers for fill in truth.fills}.values())


def test_no_answer_about_an_order_is_not_an_answer() -> None:
    order = an_order("entry", Side.BUY, 3, OrderState.SUBMITTING)
    (moved,) = lone(order, empty_venue(silent=frozenset({"entry"}))).orders
    assert moved.state is OrderState.UNKNOWN
    assert not lone(moved, empty_venue(silent=frozenset({"entry"}))).changes_ledger


def test_an_order_that_was_moved_is_known_by_the_id_that_the_venue_has_for_it_now() -> None:
    order = replace(an_order("stop", Side.SELL, 3), venue_order_id="v-1")
    moved = replace(at_venue(order, []), venue_order_id="v-2")
    (known,) = lone(order, empty_venue(orders={"stop": moved})).orders
    assert known.venue_order_id == "v-2"


def test_another_order_under_our_id_is_not_adopted() -> None:
    order = an_order("entry", Side.BUY, 3, OrderState.UNKNOWN)
    other = replace(at_venue(order, []), quantity=Decimal(30))
    corrections = lone(order, empty_venue(orders={"entry": other}))
    assert dict(corrections.contested) == {"entry": other}
    assert corrections.orders == ()


def test_a_cancellation_waits_for_the_fills_that_it_counts() -> None:
    order = an_order("entry", Side.BUY, 3)
    fills = fills_of(order, [2])
    late = lone(order, venue_of([order], fills, []))
    assert not late.changes_ledger
    assert late.differences == {}
    (ended,) = lone(order, venue_of([order], fills, fills)).orders
    assert (ended.state, ended.filled_quantity) == (OrderState.CANCELED, Decimal(2))


def test_units_that_no_order_explains_are_a_difference() -> None:
    found = lone(an_order("entry", Side.BUY, 3), empty_venue(account=VenueAccount(ZERO, {"QQQ": Decimal(7)})))
    assert dict(found.differences) == {"QQQ": (ZERO, Decimal(7))}


def test_a_leg_is_adopted_with_its_parent_even_when_only_its_fill_is_seen() -> None:
    entry = an_order("entry", Side.BUY, 3)
    leg = replace(entry, client_order_id="entry-s", side=Side.SELL, purpose=Purpose.STOP)
    fills = [*fills_of(entry, [3]), *fills_of(leg, [3])]
    truth = venue_of([entry, leg], fills, fills)
    seen = {**truth.orders, "entry-s": replace(truth.orders["entry-s"], parent_client_order_id="entry")}
    corrections = lone(entry, replace(truth, orders=seen))
    (adopted,) = corrections.adopted
    assert (adopted.parent_id, adopted.state, adopted.purpose) == ("entry", OrderState.FILLED, Purpose.STOP)
    assert [fill.client_order_id for fill in corrections.fills] == ["entry", "entry-s"]


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=30))
def test_the_cursor_never_forgets_a_fill_that_the_venue_may_tell_again(minutes: list[int]) -> None:
    order = an_order("entry", Side.BUY, 100)
    fills = [
        replace(fills_of(order, [1])[0], id=str(number), at=NOW + timedelta(minutes=minute))
        for number, minute in enumerate(minutes)
    ]
    cursor = FillCursor(NOW, {})
    for fill in fills:
        cursor = FillCursor.of(cursor.after([fill]).text())
    # A daily bar is known a day after it opened: what happened a day before the question may be in the answer.
    answer = {fill.id for fill in fills if fill.at >= cursor.since - timedelta(days=1)}
    assert answer <= cursor.booked.keys()
