"""Instruments by our names and by Alpaca's: BTC-USD is BTC/USD in its orders and BTCUSD among its positions, BRK-B is
BRK.B."""

from __future__ import annotations

import re

from core.domain.instruments import Instrument, instrument_for

COIN_CLASS = "crypto"
_STOCK = re.compile(r"[A-Z]{1,7}(-[A-Z]{1,2})?")
_COIN = re.compile(r"[A-Z0-9]{2,10}-USD")
_PAIR = re.compile(r"([A-Z0-9]{2,10})/?USD")


def alpaca_name(instrument: Instrument) -> str | None:
    """Its name in orders and questions about prices; None for a name that can be none of Alpaca's."""
    if not (_COIN if instrument.is_crypto else _STOCK).fullmatch(instrument.symbol):
        return None
    return instrument.symbol.replace("-", "/" if instrument.is_crypto else ".")


def name_of(symbol: str) -> str | None:
    return alpaca_name(instrument_for(symbol))


def our_symbol(name: str, asset_class: str = "") -> str:
    """Our symbol of what Alpaca calls `name`. Coins are told by `asset_class` or by their slash, as a share may well be
    called like BUSD; a coin that is not traded in USD keeps Alpaca's name, which is none of ours."""
    if asset_class == COIN_CLASS or "/" in name:
        pair = _PAIR.fullmatch(name)
        return f"{pair.group(1)}-USD" if pair else name
    return name.replace(".", "-")
