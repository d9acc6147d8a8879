"""The one place where numbers and times become text: money in USD, quantities, fractions, moments in the owner's zone.

A value that is not there is shown as an en dash; the caller adds a word about why.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

from core.domain.values import exact

MISSING = "–"
MINUS = "−"
_LARGE = Decimal(1000)


def money(value: Decimal | None) -> str:
    """USD to the cent: $1,234.50."""
    return MISSING if value is None else _signless_money(value, "")


def signed_money(value: Decimal | None) -> str:
    """USD with its sign always shown; zero has none."""
    return MISSING if value is None else _signless_money(value, "+")


def _signless_money(value: Decimal, plus: str) -> str:
    if not value.is_finite():
        return MISSING
    rounded = _rounded(value, 2)
    return f"{_sign(rounded, plus)}${abs(rounded):,.2f}"


def price(value: Decimal | None) -> str:
    """A price in USD without the dollar sign: at least cents; up to four further places where they matter.

    Below 1,000 the exact price is shown to four decimals (coins trade in hundredths of a cent), above it cents do.
    """
    if value is None or not value.is_finite():
        return MISSING
    if abs(value) >= _LARGE:
        return _minus(f"{_rounded(value, 2):,.2f}")
    places = 4 if abs(value) >= Decimal("0.01") or value == 0 else 8
    text = f"{_rounded(value, places):,.{places}f}"
    whole, _, fraction = text.partition(".")
    return _minus(f"{whole}.{fraction.rstrip('0').ljust(2, '0')}")


def quantity(value: Decimal | None) -> str:
    """Units, exact to eight decimals, without trailing zeros."""
    if value is None or not value.is_finite():
        return MISSING
    text = f"{_rounded(value, 8):,f}"
    return _minus(text.rstrip("0").rstrip(".") if "." in text else text)


def percent(fraction: Decimal | float | None, *, places: int = 1) -> str:
    """0.153 becomes 15.3%."""
    return _percent(fraction, places, "")


def signed_percent(fraction: Decimal | float | None, *, places: int = 1) -> str:
    """0.153 becomes +15.3%."""
    return _percent(fraction, places, "+")


def _percent(fraction: Decimal | float | None, places: int, plus: str) -> str:
    if fraction is None:
        return MISSING
    value = exact(fraction)
    if not value.is_finite():
        return MISSING
    rounded = _rounded(value * 100, places)
    return f"{_sign(rounded, plus)}{abs(rounded):,.{places}f}%"


def measure(value: float | None, places: int = 3) -> str:
    """A plain statistic such as an AUC or a log loss."""
    if value is None or not exact(value).is_finite():
        return MISSING
    return _minus(f"{value:.{places}f}")


def count(number: int, one: str, many: str | None = None) -> str:
    """1 trade, 2 trades."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def moment(at: datetime | None, zone: ZoneInfo) -> str:
    """Mon 22 Nov 16:15 EST: a moment in the owner's zone, with the zone's name."""
    if at is None:
        return MISSING
    local = at.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b %H:%M} {_zone_name(local)}"


def clock_time(at: datetime | None, zone: ZoneInfo) -> str:
    """16:15 EST."""
    if at is None:
        return MISSING
    local = at.astimezone(zone)
    return f"{local:%H:%M} {_zone_name(local)}"


def day(value: date) -> str:
    """Mon 22 Nov 2026."""
    return f"{value:%a} {value.day} {value:%b} {value.year}"


def span(length: timedelta) -> str:
    """The two largest units of a length of time: 2 h 30 min; less than a second is 0 s."""
    seconds = max(int(length.total_seconds()), 0)
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((index for index, (amount, _) in enumerate(parts) if amount), 3)
    return " ".join(f"{amount} {unit}" for amount, unit in parts[first : first + 2] if amount) or "0 s"


def _rounded(value: Decimal, places: int) -> Decimal:
    """`value` at `places` decimals; one too large for that (quantize refuses over 28 digits) stays as it is."""
    if value.adjusted() + places > 26:
        return value
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)


def _sign(value: Decimal, plus: str) -> str:
    if value == 0:
        return ""
    return MINUS if value < 0 else plus


def _minus(text: str) -> str:
    """A typographic minus; a zero that was rounded from below has none."""
    if not text.startswith("-"):
        return text
    return f"{MINUS}{text[1:]}" if re.search(r"[1-9]", text) else text[1:]


def _zone_name(local: datetime) -> str:
    name = local.tzname() or "UTC"
    return f"UTC{name}" if name[0] in "+-" else name
