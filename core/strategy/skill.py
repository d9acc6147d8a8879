"""What live forecasts have been worth against always saying the base rate, and when they have lost their trust. Pure.

The evidence against a record is Page's cumulative sum (Page, Continuous Inspection Schemes, Biometrika 1954) of how
much worse each outcome's log loss was than that of the base rate known at the time, in nats: the logarithm of the
likelihood ratio of "the base rate is right" to "the forecasts are right", begun anew where it falls to zero. It is the
one measure of drift there is. If the forecasts are right the ratio is a martingale, so that it ever exceeds 1 / a with
a probability of at most a (Ville 1939), and the sum begun anew takes at least 1 / a outcomes on average (Shin, Ramdas
and Rinaldo, E-detectors, 2024): that is where THROTTLE_AT and OBSERVE_AT come from. Outcomes that overlap each count
by their uniqueness, which keeps the bound: the product of interleaved martingales, each to the power of its share, has
a mean of at most one (Hoelder's inequality; Henzi and Ziegel, Valid Sequential Inference on Probability Forecast
Performance, Biometrika 2022, average them instead).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

import numpy as np

from core.domain.skill import ALL, SaidGroup, SkillRecord, Standing, Standings, TrackedPrediction, Trust
from core.series import Floats

THROTTLE_AT = math.log(100)
"""Evidence of 100 to 1 halves entries, OBSERVE_AT, 1,000 to 1, ends them: eight assets are watched at once, and what
is 100 to 1 in one of them is 12 to 1 in all. Evidence grows no further, so that a good spell is not kept waiting; below
THROTTLE_AT entries come back halved, below TRUST_BELOW, 10 to 1, whole.

Simulated over the five years and the overlapping outcomes of the eight assets, with forecasts whose errors last for
weeks: of a model of true skill (forecasts that lie 0.2 to 0.8 apart in log-odds) an asset is halved 0 to 3 % of the
time and observed less than 1 %, all together less than 0.5 %; one that says 65 % where 35 % come true, and the reverse,
is halved after some 60 days and observed after 120; one without any skill whose forecasts lie 0.4 apart after three
years, because there is no telling earlier."""
OBSERVE_AT = math.log(1000)
TRUST_BELOW = math.log(10)
ENOUGH = 10.0
"""Independent outcomes before a record is judged at all: fewer would let two or three bold forecasts decide. A quarter
brings twelve or more of each asset, long before there could be evidence against a merely useless model."""
SURELY = 0.01
"""Probabilities are kept so far off 0 and 1: one outcome of a forecast that was sure is no proof by itself."""
GROUP = 0.05
_Z90 = 1.6448536269514722


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """A scored prediction with a base rate, and the shares by which it counts: `own` among those of its symbol,
    `pooled` among all (core.learning.samples.uniqueness)."""

    tracked: TrackedPrediction
    own: float
    pooled: float

    @property
    def loss(self) -> float:
        return log_loss(self.tracked.prediction.probability, came_true=self.tracked.came_true is True)

    @property
    def base_loss(self) -> float:
        return log_loss(self.tracked.base_rate or 0.0, came_true=self.tracked.came_true is True)


@dataclass(slots=True, eq=False)
class Tally:
    """The whole record of a symbol, or of ALL, up to a moment. Losses are sums in nats."""

    symbol: str
    count: int = 0
    independent: float = 0.0
    loss: float = 0.0
    base_loss: float = 0.0
    evidence: float = 0.0
    trust: Trust = Trust.TRUSTED
    since: datetime | None = None
    _worse: float = field(default=0.0, repr=False)

    def add(self, loss: float, base_loss: float, weight: float) -> None:
        self.count += 1
        self.independent += weight
        self.loss += loss
        self.base_loss += base_loss
        self._worse += weight * (loss - base_loss)

    def judge(self, at: datetime) -> bool:
        """Once all that came due at `at` is added; True where the trust has changed."""
        self.evidence = min(max(0.0, self.evidence + self._worse), OBSERVE_AT)
        self._worse = 0.0
        before, self.trust = self.trust, trust_after(self.trust, self.evidence, self.independent)
        if before is self.trust:
            return False
        self.since = at
        return True

    def standing(self) -> Standing | None:
        """None for a record that is trusted."""
        if self.trust is Trust.TRUSTED or self.since is None:
            return None
        return Standing(self.symbol, self.trust, self.words(), self.since)

    def words(self) -> str:
        whose = "all assets together" if self.symbol == ALL else self.symbol
        return (
            f"live forecasts of {whose} that came due: {self.count} ({self.independent:.0f} independent), "
            f"log loss {self.loss / self.count:.3f} against {self.base_loss / self.count:.3f} of the base rate, "
            f"odds against them {math.exp(self.evidence):.0f} to 1"
        )


def trust_after(before: Trust, evidence: float, independent: float) -> Trust:
    """Each step back needs less evidence than the step there needed."""
    is_enough = independent >= ENOUGH
    if evidence >= (OBSERVE_AT if before is not Trust.OBSERVED else THROTTLE_AT) and is_enough:
        return Trust.OBSERVED
    if evidence >= (THROTTLE_AT if before is Trust.TRUSTED else TRUST_BELOW) and is_enough:
        return Trust.THROTTLED
    return Trust.TRUSTED


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """Something came due `at`. `tallies` are those of each symbol and of ALL, which go on being counted; `changed`:
    the trust in one of them is another than before."""

    at: datetime
    tallies: Mapping[str, Tally]
    changed: bool


def course(outcomes: Sequence[Weighed]) -> Iterator[Moment]:
    """The record as it grew. The order in which outcomes are given, or were found, changes nothing."""
    tallies = {ALL: Tally(ALL)}
    for at, together in groupby(sorted(outcomes, key=_due), key=_known_at):
        touched = {ALL}
        for each in together:
            symbol = each.tracked.prediction.symbol
            loss, base_loss = each.loss, each.base_loss
            tallies.setdefault(symbol, Tally(symbol)).add(loss, base_loss, each.own)
            tallies[ALL].add(loss, base_loss, each.pooled)
            touched.add(symbol)
        changes = [tallies[symbol].judge(at) for symbol in sorted(touched)]
        yield Moment(at, tallies, any(changes))


def standings_of(tallies: Mapping[str, Tally], recipe: str) -> Standings:
    found = (tally.standing() for _, tally in sorted(tallies.items()))
    return Standings(recipe, {each.symbol: each for each in found if each is not None})


def record_of(symbol: str, outcomes: Sequence[Weighed], tally: Tally) -> SkillRecord:
    """The figures of some outcomes of a symbol, or of ALL (at least one), and where its whole record stands."""
    said = np.array([each.tracked.prediction.probability for each in outcomes])
    came = np.array([each.tracked.came_true for each in outcomes], np.float64)
    base = np.array([each.tracked.base_rate for each in outcomes], np.float64)
    loss, base_loss = (np.array([getattr(each, name) for each in outcomes]) for name in ("loss", "base_loss"))
    weight = np.array([each.pooled if symbol == ALL else each.own for each in outcomes])
    hits, independent = sum(each.tracked.is_hit for each in outcomes), float(weight.sum())
    hit_low, hit_high = rate_interval(hits / len(outcomes), independent)
    gain_low, gain_high = mean_interval(base_loss - loss, independent)
    return SkillRecord(
        symbol=symbol,
        count=len(outcomes),
        hits=hits,
        independent=independent,
        hit_low=hit_low,
        hit_high=hit_high,
        brier=float(np.mean((said - came) ** 2)),
        base_brier=float(np.mean((base - came) ** 2)),
        log_loss=float(loss.mean()),
        base_log_loss=float(base_loss.mean()),
        gain_low=gain_low,
        gain_high=gain_high,
        evidence=tally.evidence,
        trust=tally.trust,
        groups=groups_of(said, came),
    )


def groups_of(said: Floats, came: Floats) -> tuple[SaidGroup, ...]:
    """Forecasts by steps of GROUP, those that nobody made left out."""
    place = np.minimum((said / GROUP + 1e-9).astype(np.int64), round(1 / GROUP) - 1)
    return tuple(
        SaidGroup(
            round(GROUP * int(number), 2),
            round(GROUP * (int(number) + 1), 2),
            int((place == number).sum()),
            float(said[place == number].mean()),
            float(came[place == number].mean()),
        )
        for number in np.unique(place)
    )


def rate_interval(rate: float, independent: float) -> tuple[float | None, float | None]:
    """The 90 % interval of a rate seen in so many independent outcomes (Wilson 1927)."""
    if independent < 2:
        return None, None
    spread = _Z90**2 / independent
    middle = (rate + spread / 2) / (1 + spread)
    reach = math.sqrt(rate * (1 - rate) * spread + spread**2 / 4) / (1 + spread)
    return middle - reach, middle + reach


def mean_interval(values: Floats, independent: float) -> tuple[float | None, float | None]:
    """The 90 % interval of a mean, as if of so many values that do not overlap."""
    if independent < 2 or len(values) < 2:
        return None, None
    reach = _Z90 * float(values.std(ddof=1)) / math.sqrt(independent)
    return float(values.mean()) - reach, float(values.mean()) + reach


def log_loss(probability: float, *, came_true: bool) -> float:
    """In nats, of a probability kept off 0 and 1 by SURELY."""
    said = min(max(probability, SURELY), 1 - SURELY)
    return -math.log(said if came_true else 1 - said)


def _known_at(each: Weighed) -> datetime:
    if each.tracked.known_at is None:
        raise ValueError(f"nothing is known yet of {each.tracked.prediction}")
    return each.tracked.known_at


def _due(each: Weighed) -> tuple[datetime, str, datetime]:
    made = each.tracked.prediction
    return _known_at(each), made.symbol, made.bar_closed_at
