"""Plays and compares what was forecast, and chooses by the rule that was declared beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.learning import plans, rules
from core.learning.declared import Configuration, Declaration, start_of
from core.learning.delaying import an_hour_later
from core.learning.events import EVENTS, Event
from core.learning.figures import Figures, days_a_year, excess, figures_of, sharpe_gain
from core.learning.forecasting import Forecasts, Skill, skill
from core.learning.history import DAY, History
from core.learning.intraday import compared
from core.learning.market import Market, market_of
from core.learning.portfolio import Result, Rules
from core.learning.statistics import Overfitting, deflated_sharpe, overfitting, sharpe, sharpe_error
from core.learning.trials import Trial, append_trials, read_trials
from core.series import Floats

FREE = Rules()
SMALL_ACCOUNT = replace(FREE, equity=8_000.0, whole_units=True)


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """What there is to judge. `forecasts` are by the name of their configuration; `transferred` makes those of one on
    the transfer universe, which is asked for the default alone."""

    told: Declaration
    histories: Mapping[str, History]
    forecasts: Mapping[str, Forecasts]
    transferred: Callable[[Configuration], Forecasts]
    narrow: Forecasts
    wider: Forecasts
    data: str
    seed: int
    folder: Path
    rounds: int = 2000
    blocks: int = 16

    @property
    def first(self) -> int:
        return start_of(self.told.first)

    @property
    def end(self) -> int:
        return start_of(self.told.last) + DAY + 1

    def market(self, symbols: Sequence[str], cost_factor: float = 1.0) -> Market:
        chosen = [self.histories[symbol] for symbol in symbols]
        return market_of(chosen, self.first // DAY, self.end // DAY - 1, cost_factor)

    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The lines of every table: no figure of all assets stands without the others."""
        told = self.told.symbols
        return {
            "all": told,
            "funds": tuple(name for name in told if not name.endswith("-USD")),
            "no ADA, SOL": tuple(name for name in told if name not in ("ADA-USD", "SOL-USD")),
            "coins": tuple(name for name in told if name.endswith("-USD")),
        }


def judged(study: Study, on: str, trials: Path) -> dict[str, Any]:
    """All figures, as plain values; appends every configuration to the record of trials."""
    lines = {name: _plain_lines(study, name) for name in ("buy and hold", *rules.RULES)}
    best = max(rules.RULES, key=lambda name: lines[name]["all"][0].sharpe)
    told = study.told.configurations
    tried = {each.name: _lines(study, each) for each in told}
    rule = lines[best]["all"][1].returns()
    excesses = {name: excess(found["all"][1].returns(), rule) for name, found in tried.items()}
    count = append_trials([_trial(study, each, tried[each.name], excesses[each.name], on) for each in told], trials)
    gates = {each.name: _gate(study, each) for each in told}
    chosen = choose(told, gates, {name: _robust(found) for name, found in tried.items()})
    gains = {name: _gains(study, found, lines[best]) for name, found in tried.items()}
    returns = tried[chosen.name]["all"][1].returns()
    return {
        "declared": study.told.digest,
        "data": study.data,
        "period": [study.told.first.isoformat(), study.told.last.isoformat()],
        "plain": {name: _figures(found) for name, found in lines.items()},
        "spy": asdict(figures_of(study.market(("SPY",)), rules.buy_and_hold(study.market(("SPY",)), FREE.equity))),
        "tried": {name: _figures(found) for name, found in tried.items()},
        "skill": {each.name: _skills(study, each, study.forecasts[each.name]) for each in told},
        "gates": gates,
        "default": chosen.name,
        "rule": best,
        "gain": gains[chosen.name]["all"],
        "gains": gains,
        "adds": gains[chosen.name]["all"]["low"] > 0.0,
        "trials": count,
        "deflated": deflated_sharpe(excesses[chosen.name], count, _spread(trials)),
        "error": sharpe_error(returns) * math.sqrt(days_a_year(study.market(study.told.symbols))),
        "overfitting": {group: asdict(_overfitting(study, tried, group)) for group in study.groups()},
        "ablation": _ablation(study),
        "conditions": _conditions(study, chosen),
        "transfer": _transfer(study, chosen, best),
        "per asset": {symbol: asdict(_run(study, chosen, (symbol,), FREE)[0]) for symbol in study.told.symbols},
        "confirmation": _confirmation(study),
    }


Line = tuple[Figures, Result]


def choose(
    told: Sequence[Configuration], gates: Mapping[str, Mapping[str, Any]], robust: Mapping[str, float]
) -> Configuration:
    """The default by the declared rule: `gates` are the faults and base rates of each, `robust` its worst ratio."""
    able = [each for each in told if each.use != "meta"]
    eligible = [each for each in able if not gates[each.name]["faults"]]
    if eligible:
        return max(eligible, key=lambda each: robust[each.name])
    honest = [each for each in able if gates[each.name]["highest base rate"] < gates[each.name]["threshold"]]
    return (honest or able)[0]


def _robust(found: Mapping[str, Line]) -> float:
    """The worst of both halves, the funds alone and the coins alone."""
    return min(*found["all"][0].halves, found["funds"][0].sharpe, found["coins"][0].sharpe)


def _trial(study: Study, config: Configuration, found: Mapping[str, Line], over: Floats, on: str) -> Trial:
    figures = found["all"][0]
    noted = {"sharpe": figures.sharpe, "drawdown": figures.drawdown, "excess": sharpe(over)}
    return Trial({**config.config, "declared": study.told.digest}, study.data, noted, on)


def _gains(study: Study, found: Mapping[str, Line], rule: Mapping[str, Line]) -> dict[str, Any]:
    """The gain over the rule at equal volatility, with its interval, in each group of assets."""
    gains = {}
    for group, symbols in study.groups().items():
        scale = days_a_year(study.market(symbols))
        pair = (found[group][1].returns(), rule[group][1].returns())
        gains[group] = asdict(sharpe_gain(*pair, scale, study.seed, study.rounds))
    return gains


def _overfitting(study: Study, tried: Mapping[str, Mapping[str, Line]], group: str) -> Overfitting:
    return overfitting(np.column_stack([found[group][1].returns() for found in tried.values()]), study.blocks)


def _spread(trials: Path) -> float:
    """The deviation of the daily ratios of the excess among all different attempts on record."""
    known = {each.key: each.figures["excess"] for each in read_trials(trials)}
    return float(np.std(list(known.values()), ddof=1))


def _plain_lines(study: Study, name: str) -> dict[str, Line]:
    found = {}
    for group, symbols in study.groups().items():
        market, chosen = study.market(symbols), [study.histories[symbol] for symbol in symbols]
        result = (
            rules.buy_and_hold(market, FREE.equity)
            if name == "buy and hold"
            else rules.play(market, rules.RULES[name](market, chosen), FREE)
        )
        found[group] = (figures_of(market, result), result)
    return found


def _lines(study: Study, config: Configuration) -> dict[str, Line]:
    return {group: _run(study, config, symbols, FREE) for group, symbols in study.groups().items()}


def _run(study: Study, config: Configuration, symbols: Sequence[str], account: Rules, delay: int = 0) -> Line:
    return _played(study, config, study.market(symbols), account, delay)


def _played(study: Study, config: Configuration, market: Market, account: Rules, delay: int = 0) -> Line:
    said = [study.forecasts[config.name].probability[study.told.symbols.index(name)] for name in market.symbols]
    chosen = [study.histories[symbol] for symbol in market.symbols]
    result = plans.play(market, chosen, config, said, study.told.threshold, account, delay)
    return figures_of(market, result), result


def _figures(found: Mapping[str, Line]) -> dict[str, Any]:
    return {group: asdict(line[0]) for group, line in found.items()}


def _gate(study: Study, config: Configuration) -> dict[str, Any]:
    chosen = [study.histories[symbol] for symbol in study.told.symbols]
    years = (study.end - study.first) / DAY / 365.25
    rates = plans.base_rates(chosen, config.event, study.first, study.end)
    opened = plans.signals(chosen, study.forecasts[config.name].probability, study.told.threshold, years)
    return {
        "event": EVENTS[config.event].words,
        "threshold": study.told.threshold,
        "base rates": dict(rates),
        "highest base rate": max(rates.values()),
        "signals a year": dict(opened),
        "faults": plans.gate_faults(rates, opened, study.told.threshold),
    }


def _skills(study: Study, config: Configuration, found: Forecasts) -> dict[str, Any]:
    """Scores of forecasts in each group of assets."""
    event = EVENTS[config.event]
    return {
        group: asdict(_scored(study, found, event, symbols, (study.first, study.end)))
        for group, symbols in study.groups().items()
    }


def _scored(study: Study, found: Forecasts, event: Event, symbols: Sequence[str], span: tuple[int, int]) -> Skill:
    places = [study.told.symbols.index(symbol) for symbol in symbols]
    said, base = (tuple(whole[place] for place in places) for whole in (found.probability, found.base))
    return skill([study.histories[symbol] for symbol in symbols], event, Forecasts(said, base, ()), *span)


def _ablation(study: Study) -> dict[str, Any]:
    """Log loss without and with the further inputs: whole period and halves, in each group of assets."""
    event = EVENTS[study.told.ablation.event]
    middle = (study.first + study.end) // 2
    spans = {"whole": (study.first, study.end), "first half": (study.first, middle), "second half": (middle, study.end)}

    def loss(found: Forecasts, symbols: Sequence[str], span: tuple[int, int]) -> float:
        return _scored(study, found, event, symbols, span).loss

    losses = {
        words: {
            group: {"without": loss(study.narrow, symbols, span), "with": loss(study.wider, symbols, span)}
            for group, symbols in study.groups().items()
        }
        for words, span in spans.items()
    }
    return {"losses": losses, "kept": all(each["all"]["with"] < each["all"]["without"] for each in losses.values())}


def _conditions(study: Study, config: Configuration) -> dict[str, Any]:
    """The default in each group of assets with a small account of whole shares; with every order carried out by hand,
    an hour late (coins; funds have no hourly bars over the period) or a bar late; and with costs of zero."""
    found: dict[str, dict[str, Any]] = {}
    for group, symbols in study.groups().items():
        market = study.market(symbols)
        played = {
            "8,000 USD, whole shares": _played(study, config, market, SMALL_ACCOUNT),
            "by hand, at once": _played(study, config, market, FREE),
            "by hand, coins an hour late": _played(study, config, an_hour_later(market, study.folder), FREE),
            "by hand, a bar late": _played(study, config, market, FREE, 1),
            "costs of zero": _played(study, config, study.market(symbols, 0.0), FREE),
        }
        for words, line in played.items():
            found.setdefault(words, {})[group] = asdict(line[0])
    return found


def _transfer(study: Study, config: Configuration, best: str) -> dict[str, Any]:
    market = study.market(study.told.transfer)
    chosen = [study.histories[symbol] for symbol in study.told.transfer]
    said = study.transferred(config).probability
    result = plans.play(market, chosen, config, said, study.told.threshold, FREE)
    rule = rules.play(market, rules.RULES[best](market, chosen), FREE)
    return {
        config.name: asdict(figures_of(market, result)),
        best: asdict(figures_of(market, rule)),
        "buy and hold": asdict(figures_of(market, rules.buy_and_hold(market, FREE.equity))),
        "gain": asdict(sharpe_gain(result.returns(), rule.returns(), days_a_year(market), study.seed, study.rounds)),
    }


def _confirmation(study: Study) -> dict[str, Any]:
    """Daily confirmation against one on bars of 5 minutes, for the way of foreseeing that is declared first."""
    first = study.told.configurations[0]
    said = dict(zip(study.told.symbols, study.forecasts[first.name].probability, strict=True))
    found = compared(study.folder, study.histories, said, study.told.threshold, study.end)
    ways = {way: {symbol: asdict(arm) for symbol, arm in arms.items()} for way, arms in found.items()}
    return {"forecasts": first.name, "ways": ways}
