"""Exact numbers: money and quantities are `Decimal`, rounded toward safety to an instrument's step."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal

ZERO = Decimal(0)
ONE = Decimal(1)
CENT = Decimal("0.01")
# The division itself must not round: a quotient just below a whole number would become that number, and a quantity
# rounded "down" would exceed what is held.
_DOWN, _UP, _NEAREST = (Context(prec=100, rounding=way) for way in (ROUND_FLOOR, ROUND_CEILING, ROUND_HALF_EVEN))


def exact(number: float | int | str | Decimal) -> Decimal:
    """The shortest decimal that names `number`: 0.1 becomes Decimal('0.1'), not its binary expansion."""
    if isinstance(number, Decimal):
        return number
    return Decimal(repr(float(number))) if isinstance(number, float) else Decimal(str(number))


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """`value` rounded down (toward minus infinity) to a multiple of `step`."""
    return _steps(value, step, _DOWN)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """`value` rounded up to a multiple of `step`."""
    return _steps(value, step, _UP)


def nearest(value: Decimal, step: Decimal) -> Decimal:
    """`value` rounded to the nearest multiple of `step`, ties to even."""
    return _steps(value, step, _NEAREST)


def _steps(value: Decimal, step: Decimal, exactly: Context) -> Decimal:
    return exactly.multiply(exactly.divide(value, step).to_integral_value(context=exactly), step)


def plain(value: Decimal) -> str:
    """Exact text without exponent or trailing zeros; the form money has in the database and in hashes."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
