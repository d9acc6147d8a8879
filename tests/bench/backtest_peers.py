"""The same simple rule in other programs, each run by an interpreter of its own that has it installed: this file needs
numpy and pandas beside it, and nothing of ours.

The rule: buy at the next open where close > SMA 20 > SMA 50, RSI 14 lies between 45 and 70 and the MACD histogram is
above zero; sell 5 % lower or 15 % higher; one position an asset; 0.3 % of each trade is lost.

Run: python backtest_peers.py NAME DATA.npz, where DATA holds one column an asset. Plays a round for each line that it
is sent and answers with one line of JSON: seconds of the processor, trades, and what a unit of money has become."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from time import process_time

import numpy as np

STOP, TARGET, COSTS = 0.05, 0.15, 0.003


def loop(data: dict) -> tuple[int, float]:
    """A plain Python loop over lists, the indicators included."""
    trades, total = 0, 0.0
    for column in range(data["close"].shape[1]):
        opens, highs, lows, closes = (data[name][:, column].tolist() for name in ("open", "high", "low", "close"))
        cash, units, stop, target, wanted = 1.0, 0.0, 0.0, 0.0, False
        gain = loss = 0.0
        fast = slow = signal = closes[0]
        signal = 0.0
        short = long = 0.0
        before = closes[0]
        for row in range(len(closes)):
            if wanted and not units:
                paid = opens[row] * (1 + COSTS)
                units, cash = cash / paid, 0.0
                stop, target = opens[row] * (1 - STOP), opens[row] * (1 + TARGET)
            wanted = False
            if units:
                if lows[row] <= stop:
                    cash, units = units * min(stop, opens[row]) * (1 - COSTS), 0.0
                    trades += 1
                elif highs[row] >= target:
                    cash, units = units * max(target, opens[row]) * (1 - COSTS), 0.0
                    trades += 1
            close = closes[row]
            move = close - before
            before = close
            gain += ((move if move > 0 else 0.0) - gain) / 14
            loss += ((-move if move < 0 else 0.0) - loss) / 14
            fast += (close - fast) * (2 / 13)
            slow += (close - slow) * (2 / 27)
            line = fast - slow
            signal += (line - signal) * 0.2
            short += close - (closes[row - 20] if row >= 20 else 0.0)
            long += close - (closes[row - 50] if row >= 50 else 0.0)
            if row >= 50 and not units and close > short / 20 > long / 50 and line > signal:
                both = gain + loss
                wanted = both > 0 and 45 <= 100 * gain / both <= 70
        total += cash + units * closes[-1]
    return trades, total / data["close"].shape[1]


def signals(data: dict):
    """Where the rule says buy, by pandas, as one would write it for any of the libraries."""
    import pandas as pd

    close = pd.DataFrame(data["close"])
    moves = close.diff()
    gain = moves.clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
    loss = (-moves.clip(upper=0)).ewm(alpha=1 / 14, adjust=False).mean()
    rsi = 100 * gain / (gain + loss)
    line = close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()
    histogram = line - line.ewm(span=9, adjust=False).mean()
    short, long = close.rolling(20).mean(), close.rolling(50).mean()
    return (close > short) & (short > long) & (rsi >= 45) & (rsi <= 70) & (histogram > 0)


def backtesting(data: dict) -> tuple[int, float]:
    import pandas as pd
    from backtesting import Backtest, Strategy

    said = signals(data).to_numpy()
    index = pd.date_range("2024-01-01", periods=len(said), freq="5min")
    trades, total = 0, 0.0
    for column in range(said.shape[1]):
        wanted = said[:, column].astype(float)

        class Rule(Strategy):
            told = wanted

            def init(self) -> None:
                self.wanted = self.I(lambda: self.told, plot=False)

            def next(self) -> None:
                if self.wanted[-1] and not self.position and not self.orders:
                    price = self.data.Close[-1]
                    self.buy(sl=price * (1 - STOP), tp=price * (1 + TARGET))

        frame = pd.DataFrame({name.title(): data[name][:, column] for name in ("open", "high", "low", "close")}, index)
        frame["Volume"] = 1.0
        found = Backtest(frame, Rule, cash=1_000_000, commission=COSTS, finalize_trades=True).run()
        trades += int(found["# Trades"])
        total += float(found["Equity Final [$]"]) / 1_000_000
    return trades, total / said.shape[1]


def vectorbt(data: dict) -> tuple[int, float]:
    import pandas as pd
    import vectorbt as vbt

    said = signals(data)
    entries = said.shift(1, fill_value=False).astype(bool)
    frames = {name: pd.DataFrame(data[name]) for name in ("open", "high", "low", "close")}
    portfolio = vbt.Portfolio.from_signals(
        frames["close"],
        entries,
        False,
        price=frames["open"],
        open=frames["open"],
        high=frames["high"],
        low=frames["low"],
        sl_stop=STOP,
        tp_stop=TARGET,
        fees=COSTS,
        init_cash=1.0,
        freq="5min",
    )
    value = portfolio.final_value()
    return int(portfolio.trades.count().sum()), float(value.mean())


FREQTRADE_RULE = """
import sys
sys.path.insert(0, {folder!r})
from backtest_peers import STOP, TARGET, signals
from freqtrade.strategy import IStrategy

class Rule(IStrategy):
    INTERFACE_VERSION = 3
    timeframe = "5m"
    stoploss = -STOP
    minimal_roi = {{"0": TARGET}}
    use_exit_signal = False

    def populate_indicators(self, dataframe, metadata):
        dataframe["wanted"] = signals({{"close": dataframe[["close"]]}})["close"]
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe.loc[dataframe["wanted"], "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe
"""


def freqtrade(data: dict) -> tuple[int, float]:
    """Its exchange is told its markets instead of asking Binance for them, and its candles are in memory. Fees of
    `COSTS` both ways, a fixed stake an asset."""
    import pandas as pd

    pairs = [f"S{number}/USDT" for number in range(data["close"].shape[1])]
    dates = pd.date_range("2024-01-01", periods=len(data["close"]), freq="5min", tz="UTC")
    frames = {
        pair: pd.DataFrame(
            {"date": dates, **{name: data[name][:, column] for name in ("open", "high", "low", "close")}, "volume": 1.0}
        )
        for column, pair in enumerate(pairs)
    }
    with tempfile.TemporaryDirectory() as home:
        tester = freqtrade_tester(pairs, Path(home))
        processed = tester.strategy.advise_all_indicators(frames)
        found = tester.backtest(processed, dates[0].to_pydatetime(), dates[-1].to_pydatetime())
    gained = float(found["results"]["profit_abs"].sum()) / FREQTRADE_STAKE / len(pairs)
    return len(found["results"]), 1 + gained


FREQTRADE_STAKE = 10_000.0


def freqtrade_tester(pairs: list, home: Path):
    from freqtrade.enums import CandleType, RunMode, TradingMode
    from freqtrade.optimize.backtesting import Backtesting
    from freqtrade.resolvers import ExchangeResolver

    (home / "rule.py").write_text(FREQTRADE_RULE.format(folder=str(Path(__file__).parent)))
    pricing = {"price_side": "same", "use_order_book": False}
    config = {
        "runmode": RunMode.BACKTEST,
        "exchange": {"name": "binance", "pair_whitelist": pairs, "pair_blacklist": []},
        "stake_currency": "USDT",
        "stake_amount": FREQTRADE_STAKE,
        "max_open_trades": len(pairs),
        "dry_run": True,
        "dry_run_wallet": 1000 * FREQTRADE_STAKE,
        "trading_mode": TradingMode.SPOT,
        "candle_type_def": CandleType.SPOT,
        "margin_mode": "",
        "entry_pricing": pricing,
        "exit_pricing": pricing,
        "pairlists": [{"method": "StaticPairList", "allow_inactive": True}],
        "timeframe": "5m",
        "strategy": "Rule",
        "strategy_path": str(home),
        "user_data_dir": home,
        "datadir": home,
        "fee": COSTS,
        "export": "none",
        "unfilledtimeout": {"entry": 10, "exit": 10},
        "original_config": {},
        "internals": {},
    }
    exchange = ExchangeResolver.load_exchange(config, validate=False)
    none = {"min": None, "max": None}
    exchange._markets = {
        pair: {
            "id": pair,
            "symbol": pair,
            "base": pair.split("/")[0],
            "quote": "USDT",
            "active": True,
            "spot": True,
            "type": "spot",
            **dict.fromkeys(("margin", "swap", "future", "contract"), False),
            "linear": None,
            "precision": {"price": 1e-8, "amount": 1e-8},
            "limits": {"amount": none, "cost": none, "price": none, "leverage": none},
            "info": {},
        }
        for pair in pairs
    }
    exchange._last_markets_refresh = sys.maxsize
    tester = Backtesting(config, exchange)
    tester._set_strategy(tester.strategylist[0])
    return tester


CONTESTANTS = {"loop": loop, "backtesting": backtesting, "vectorbt": vectorbt, "freqtrade": freqtrade}


def main(name: str, path: str) -> None:
    with np.load(path) as file:
        data = {column: file[column] for column in ("open", "high", "low", "close")}
    # What a library prints of itself is no answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    for _ in sys.stdin:
        began = process_time()
        trades, value = CONTESTANTS[name](data)
        spent = process_time() - began
        print(json.dumps({"seconds": spent, "trades": trades, "value": value}), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
