"""What a file's name says it holds.

SYMBOL[.SIZE][.marks].ENDING as in core.adapters.history_files, or Binance's SYMBOL-SIZE-YYYY-MM[-DD].ENDING.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from core.domain.bars import BarSize
from core.feed.bar_files import FileName

ENDINGS = (".csv.gz", ".csv.zip", ".csv", ".zip", ".jsonl.gz", ".jsonl", ".ndjson", ".json.gz", ".json", ".parquet")
SIZES = {"1m": BarSize.M1, "5m": BarSize.M5, "1h": BarSize.H1, "60m": BarSize.H1, "1d": BarSize.D1}
OTHER_SIZES = frozenset(
    ["1s", "2m", "3m", "10m", "15m", "30m", "2h", "4h", "6h", "8h", "12h", "3d", "1w", "1wk", "1mo"],
)
_BINANCE = re.compile(r"([A-Z0-9]+USDT)-(\d{1,2}(?:s|m|h|d|w|mo))-\d{4}-\d{2}(?:-\d{2})?")
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9.-]{0,19}")
_TETHER = "USDT"


def name_of(path: Path) -> FileName | None:
    """None for names that are not those of a file of bars."""
    ending = next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), None)
    if ending is None or path.name.startswith("."):
        return None
    stem = path.name[: -len(ending)]
    binance = _BINANCE.fullmatch(stem)
    first, *marks = binance.groups() if binance else stem.split(".")
    sizes = [mark for mark in marks if mark in SIZES]
    symbol, renamed = house_symbol(first)
    size = SIZES[sizes[0]] if sizes else None
    return FileName(path, symbol, size, "extended" in marks, renamed, _unfit(marks, sizes))


def _unfit(marks: Sequence[str], sizes: Sequence[str]) -> str:
    others = [mark for mark in marks if mark in OTHER_SIZES]
    if others or len(set(sizes)) > 1:
        return f"bars of {', '.join([*sizes, *others])}; only one of {', '.join(SIZES)} can be taken"
    if "adj" in marks:
        return "its prices have dividends taken out of them (adj), which cannot stand beside prices that have not"
    if "raw" in marks:
        return "its prices are as they were paid (raw), which cannot stand beside prices adjusted for splits"
    if any(mark.startswith("pre2014") for mark in marks):
        return "another market's prices (pre2014)"
    return ""


def house_symbol(text: str) -> tuple[str, bool]:
    """Our name for a vendor's: BTCUSDT and BTC/USDT are BTC-USD, and so is BTC/USD. True where tethers became dollars;
    an empty name where it is none."""
    name = text.strip().upper().replace("/", "-")
    bare = name.replace("-", "")
    if bare.endswith(_TETHER) and len(bare) > len(_TETHER):
        return f"{bare.removesuffix(_TETHER)}-USD", True
    return (name, False) if _SYMBOL.fullmatch(name) else ("", False)
