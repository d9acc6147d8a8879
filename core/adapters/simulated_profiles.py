"""What trading costs at the simulated venue, as data: one profile a venue, each figure with its source.

Spread and slippage are our own, deliberately a little dear. Fees:

ALPACA, stocks: no commission; sales pay the SEC's fee on their value and FINRA's trading activity fee (TAF) on their
units, each rounded up to a cent (alpaca.markets/support/regulatory-fees and docs.alpaca.markets/docs/regulatory-fees,
read in 2026). The SEC sets its rate anew every year and has asked for nothing at times; the highest of late is charged
here. The levy for the audit trail, under 0.0001 USD a share, is left out.

ALPACA, coins: 0.25 % for takers in the lowest tier of volume, taken from what one receives: coins from a purchase, USD
from a sale (docs.alpaca.markets/docs/crypto-fees; alpaca.markets/docs/crypto/activities). Coins are kept there to nine
decimals. Resting orders would pay 0.15 %; here all pay as takers.

ALPACA, what rests: a stop and a target beside one another for whole shares; for coins a stop-limit alone, no bracket
and no plain stop. Fractions of a share trade at the market only and carry nothing (docs.alpaca.markets/docs, the pages
on orders, fractional trading and crypto trading).

DOLLARS: nothing for stocks, 0.25 % in USD for coins, stop and target rest for both, no fractions of a share: the
plainest venue, for tests and comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from core.domain.instruments import AssetClass, Instrument
from core.domain.orders import OrderType, Side
from core.domain.splits import FRACTION
from core.domain.values import CENT, ONE, ZERO, ceil_to, floor_to
from core.domain.venue import Resting

COIN_GRAIN = Decimal("0.000000001")
"""The finest part of a coin that a venue keeps."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What trading one class of assets costs. A basis point is 0.0001.

    Fractions of the price: `half_spread`, `slippage`. Fractions of the value: `taker` on both sides, `sale_value` on
    sales. `sale_unit` is USD for each unit sold, at most `sale_unit_cap` USD an order. Each kind of fee in USD is
    rounded up to a cent over the whole order. `taken_in_units`: the fee of a purchase is taken from what was bought.
    """

    half_spread: Decimal
    slippage: Decimal
    taker: Decimal = ZERO
    sale_value: Decimal = ZERO
    sale_unit: Decimal = ZERO
    sale_unit_cap: Decimal = ZERO
    taken_in_units: bool = False

    @property
    def against_us(self) -> Decimal:
        """The part of the price that a taker loses on each side."""
        return self.half_spread + self.slippage


@dataclass(frozen=True, slots=True)
class VenueProfile:
    """`volume_share` is the part of a bar's volume that all our orders in a symbol may take together; None: all.

    `rests` is what may rest for whole steps, `sale_steps` in which steps market orders trade.
    """

    name: str
    costs: Mapping[AssetClass, Costs]
    volume_share: Decimal | None
    rests: Mapping[AssetClass, Resting]
    sale_steps: Mapping[AssetClass, Decimal]

    def resting(self, instrument: Instrument, quantity: Decimal) -> Resting:
        """What may rest for so many units."""
        if not instrument.is_crypto and quantity % instrument.quantity_step:
            return Resting.NOTHING
        return self.rests[instrument.asset_class]

    def step_of(self, instrument: Instrument, kind: OrderType) -> Decimal:
        """In which steps orders of that type trade."""
        return self.sale_steps[instrument.asset_class] if kind is OrderType.MARKET else instrument.quantity_step


# Large US funds quote a cent wide on several hundred USD.
_STOCK = Costs(half_spread=Decimal("0.0001"), slippage=Decimal("0.0002"))
_COIN_STEP = Decimal("0.000001")
_COIN = Costs(half_spread=Decimal("0.0005"), slippage=Decimal("0.0005"), taker=Decimal("0.0025"))

ALPACA = VenueProfile(
    "alpaca",
    {
        AssetClass.STOCK: Costs(
            _STOCK.half_spread,
            _STOCK.slippage,
            sale_value=Decimal("0.0000278"),
            sale_unit=Decimal("0.000166"),
            sale_unit_cap=Decimal("8.30"),
        ),
        AssetClass.CRYPTO: Costs(_COIN.half_spread, _COIN.slippage, taker=_COIN.taker, taken_in_units=True),
    },
    volume_share=Decimal("0.1"),
    rests={AssetClass.STOCK: Resting.PAIR, AssetClass.CRYPTO: Resting.STOP},
    sale_steps={AssetClass.STOCK: FRACTION, AssetClass.CRYPTO: _COIN_STEP},
)
DOLLARS = VenueProfile(
    "dollars",
    {AssetClass.STOCK: _STOCK, AssetClass.CRYPTO: _COIN},
    volume_share=Decimal("0.1"),
    rests=dict.fromkeys(AssetClass, Resting.PAIR),
    sale_steps={AssetClass.STOCK: ONE, AssetClass.CRYPTO: _COIN_STEP},
)
PROFILES: Mapping[str, VenueProfile] = {profile.name: profile for profile in (ALPACA, DOLLARS)}


def buying_price(price: Decimal, costs: Costs, tick: Decimal) -> Decimal:
    """What a taker pays when `price` is the middle: rounded up to the tick."""
    return ceil_to(price * (ONE + costs.against_us), tick)


def selling_price(price: Decimal, costs: Costs, tick: Decimal) -> Decimal:
    """What a taker gets when `price` is the middle: rounded down to the tick, at least one tick."""
    return max(tick, floor_to(price * (ONE - costs.against_us), tick))


def order_fee(units: Decimal, value: Decimal, side: Side, costs: Costs) -> Decimal:
    """The fee in USD on an order that has traded `units` for `value` USD in all; nothing where units are taken."""
    if side is Side.BUY:
        return ZERO if costs.taken_in_units else ceil_to(value * costs.taker, CENT)
    by_unit = min(units * costs.sale_unit, costs.sale_unit_cap)
    return sum((ceil_to(part, CENT) for part in (value * costs.taker, value * costs.sale_value, by_unit)), ZERO)


def units_taken(units: Decimal, side: Side, costs: Costs) -> Decimal:
    """The fee in units on `units` just traded; nothing where it is taken in USD."""
    if side is Side.SELL or not costs.taken_in_units:
        return ZERO
    return ceil_to(units * costs.taker, COIN_GRAIN)
