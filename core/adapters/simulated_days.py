"""The simulated market's days: one opening and one closing log price per asset and day, 2016 to 2035.

What it is calibrated on (daily log returns; tested loosely in tests/unit/test_simulated_market.py):

- volatility a year: SPY and VTI about 16 %, QQQ and IWM about 21 %, BTC 58 %, ETH 73 %, ADA 83 %, SOL 89 %;
- correlation: SPY with QQQ 0.92, with IWM 0.88; BTC with ETH 0.85; stocks with coins about 0.3;
- fat tails (kurtosis above 3) from changing volatility and rare jumps; volatility clusters (a log AR(1), 0.97 a day);
- bull and bear markets, a Markov chain per class: calm with positive drift, nervous with negative drift, lasting about
  250 and 80 sessions for stocks, 120 days each for coins;
- a weak pull toward an exponential trend keeps levels where people know them (SPY 550, BTC 60,000 in mid-2024).

Every number follows from (seed, symbol): leaving an asset out changes no other.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from core.adapters.calendars import DAY, ExchangeCalendar
from core.domain.instruments import AssetClass
from core.series import Floats, Seconds

FIRST_DAY = date(2016, 1, 1)
LAST_DAY = date(2035, 12, 31)
ANCHOR_DAY = date(2024, 7, 1)
COIN_BARS = 288


@dataclass(frozen=True, slots=True)
class Asset:
    """`level` is the trend's price on ANCHOR_DAY in USD; `beta` counts the class factor, `own_vol` is the rest a year.

    `volume` is a usual day's, in shares or coins; `decimals` those of the price tick.
    """

    symbol: str
    asset_class: AssetClass
    level: float
    beta: float
    own_vol: float
    volume: float
    decimals: int


@dataclass(frozen=True, slots=True)
class Climate:
    """A class factor. Rates a year in logs; index 0 is bull, 1 is bear; `stays` is the chance to stay a day."""

    drift: tuple[float, float]
    vol: tuple[float, float]
    stays: tuple[float, float]
    growth: float
    pull: float
    steps: float
    overnight: float
    jump_chance: float

    @property
    def mean_vol(self) -> float:
        """Root mean square over the chain's stationary shares."""
        bull = (1 - self.stays[1]) / (2 - self.stays[0] - self.stays[1])
        return float(np.sqrt(bull * self.vol[0] ** 2 + (1 - bull) * self.vol[1] ** 2))


CLIMATES: Mapping[AssetClass, Climate] = MappingProxyType(
    {
        AssetClass.STOCK: Climate(
            (0.24, -0.30), (0.12, 0.25), (1 - 1 / 250, 1 - 1 / 80), 0.09, 0.40, 252.0, 0.25, 0.01
        ),
        AssetClass.CRYPTO: Climate(
            (1.5, -1.0), (0.50, 0.78), (1 - 1 / 120, 1 - 1 / 120), 0.25, 0.80, 365.0, 0.0, 0.015
        ),
    }
)

ASSETS: Mapping[str, Asset] = MappingProxyType(
    {
        asset.symbol: asset
        for asset in (
            Asset("SPY", AssetClass.STOCK, 550.0, 1.0, 0.012, 65e6, 2),
            Asset("QQQ", AssetClass.STOCK, 480.0, 1.2, 0.08, 40e6, 2),
            Asset("IWM", AssetClass.STOCK, 205.0, 1.15, 0.10, 28e6, 2),
            Asset("VTI", AssetClass.STOCK, 270.0, 1.0, 0.02, 3.2e6, 2),
            Asset("BTC-USD", AssetClass.CRYPTO, 60_000.0, 0.85, 0.20, 26e3, 2),
            Asset("ETH-USD", AssetClass.CRYPTO, 3_200.0, 1.05, 0.28, 420e3, 2),
            Asset("ADA-USD", AssetClass.CRYPTO, 0.45, 1.1, 0.45, 260e6, 4),
            Asset("SOL-USD", AssetClass.CRYPTO, 140.0, 1.15, 0.50, 4.5e6, 2),
        )
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """One row a session or day. Times in seconds; `start` and `end` are log prices, `spread` the standard deviation of
    the path between them, `loading` its correlation with the class's path; `jump` falls into bar `jump_bar`."""

    date: Seconds
    opened_at: Seconds
    bar_count: NDArray[np.int64]
    start: Floats
    end: Floats
    spread: Floats
    jump: Floats
    jump_bar: NDArray[np.int64]
    volume: Floats
    loading: float


@dataclass(frozen=True, slots=True, eq=False)
class _Factor:
    """A class's common return, parted into the night and the day; `sigma` is its volatility that day."""

    night: Floats
    day: Floats
    jump: Floats
    sigma: Floats
    shock: Floats


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """The stream that belongs to a seed and a name, and to nothing else."""
    words = [zlib.crc32(name.encode()) if isinstance(name, str) else name for name in names]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))


def days_of_all(seed: int, calendar: ExchangeCalendar) -> Mapping[str, Days]:
    """The days of every asset, 2016-01-01 to 2035-12-31."""
    session_dates, session_opens, session_closes = calendar.sessions_between(FIRST_DAY, LAST_DAY)
    first = (FIRST_DAY - date(1970, 1, 1)).days
    dates = DAY * np.arange(first, (LAST_DAY - date(1970, 1, 1)).days + 1, dtype=np.int64)
    is_session = np.isin(dates, session_dates)
    stocks = _factor(generator(seed, "stocks"), CLIMATES[AssetClass.STOCK], len(session_dates), None)
    common = np.full(len(dates), np.nan)
    common[is_session] = stocks.shock
    coins = _factor(generator(seed, "coins"), CLIMATES[AssetClass.CRYPTO], len(dates), common)
    session_bars = (session_closes - session_opens) // 300
    day_bars = np.full(len(dates), COIN_BARS, np.int64)
    return {
        asset.symbol: (
            _days(seed, asset, stocks, session_dates, session_opens, session_bars)
            if asset.asset_class is AssetClass.STOCK
            else _days(seed, asset, coins, dates, dates, day_bars)
        )
        for asset in ASSETS.values()
    }


def _factor(rng: np.random.Generator, climate: Climate, count: int, common: Floats | None) -> _Factor:
    """`common` holds the stock market's shock of each day that has one, NaN elsewhere: coins share a part of it."""
    bear = _regimes(rng.random(count), climate.stays)
    calm = _clustering(rng.standard_normal(count))
    night_shock, day_shock = rng.standard_normal(count), rng.standard_normal(count)
    jumps = rng.random(count) < climate.jump_chance
    size = 2.5 * rng.standard_normal(count)
    if common is not None:
        share = 0.38
        day_shock = np.where(np.isnan(common), day_shock, share * common + np.sqrt(1 - share**2) * day_shock)
    drift = np.where(bear, climate.drift[1], climate.drift[0]) / climate.steps
    sigma = np.where(bear, climate.vol[1], climate.vol[0]) / np.sqrt(climate.steps) * calm
    night = climate.overnight
    jump = np.where(jumps, size * sigma, 0.0)
    shock = np.sqrt(night) * night_shock + np.sqrt(1 - night) * day_shock
    return _Factor(
        night * drift + np.sqrt(night) * sigma * night_shock,
        (1 - night) * drift + np.sqrt(1 - night) * sigma * day_shock,
        jump,
        sigma,
        shock,
    )


def _regimes(draws: Floats, stays: tuple[float, float]) -> NDArray[np.bool_]:
    bear = False
    states = np.empty(len(draws), np.bool_)
    for index, draw in enumerate(draws.tolist()):
        if draw > stays[bear]:
            bear = not bear
        states[index] = bear
    return states


def _clustering(draws: Floats, memory: float = 0.97, spread: float = 0.30) -> Floats:
    """Multipliers of volatility with mean square one: the exponential of an AR(1) with standard deviation `spread`."""
    level, step = 0.0, spread * np.sqrt(1 - memory**2)
    levels = np.empty(len(draws))
    for index, draw in enumerate((step * draws).tolist()):
        level = memory * level + draw
        levels[index] = level
    return np.exp(levels - spread**2)


def _days(seed: int, asset: Asset, factor: _Factor, dates: Seconds, opens: Seconds, bars: NDArray[np.int64]) -> Days:
    climate = CLIMATES[asset.asset_class]
    rng = generator(seed, asset.symbol, "days")
    count = len(dates)
    night = climate.overnight
    own = factor.sigma * (asset.own_vol / climate.mean_vol)
    night_return = asset.beta * factor.night + np.sqrt(night) * own * rng.standard_normal(count)
    day_return = asset.beta * factor.day + np.sqrt(1 - night) * own * rng.standard_normal(count)
    jump = asset.beta * factor.jump
    if asset.asset_class is AssetClass.STOCK:
        night_return, jump = night_return + jump, np.zeros(count)
    day_return = day_return + jump
    years = (dates - (ANCHOR_DAY - date(1970, 1, 1)).days * DAY) / (365.25 * DAY)
    trend = np.log(asset.level) + climate.growth * years
    start, end = _levels(night_return, day_return, trend, climate)
    spread = np.sqrt(1 - night) * np.hypot(asset.beta * factor.sigma, own)
    surprise = np.abs(night_return + day_return) / (spread + 1e-12)
    busy = (factor.sigma / factor.sigma.mean()) ** 0.7 * (0.75 + 0.3 * surprise)
    volume = np.round(asset.volume * busy * np.exp(0.2 * rng.standard_normal(count)) * bars / bars.max())
    loading = float(asset.beta / np.hypot(asset.beta, asset.own_vol / climate.mean_vol))
    return Days(
        dates, opens, bars, start, end, spread, jump, (rng.random(count) * bars).astype(np.int64), volume, loading
    )


def _levels(night: Floats, day: Floats, trend: Floats, climate: Climate) -> tuple[Floats, Floats]:
    """Opening and closing log prices, drawn weakly toward the trend."""
    pull, level = climate.pull / climate.steps, float(trend[0])
    start, end = np.empty(len(day)), np.empty(len(day))
    steps = zip(night.tolist(), day.tolist(), trend.tolist(), strict=True)
    for index, (by_night, by_day, target) in enumerate(steps):
        correction = pull * (target - level)
        start[index] = level + by_night + (correction if climate.overnight else 0.0)
        level = level + by_night + by_day + correction
        end[index] = level
    return start, end
