"""Exact numbers: money and quantities are `Decimal`, rounded toward safety to an instrument's step."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, localcontext

ZERO = Decimal(0)
ONE = Decimal(1)
CENT = Decimal("0.01")


def exact(number: float | int | str | Decimal) -> Decimal:
    """The shortest decimal that names `number`: 0.1 becomes Decimal('0.1'), not its binary expansion."""
    if isinstance(number, Decimal):
        return number
    return Decimal(repr(float(number))) if isinstance(number, float) else Decimal(str(number))


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """`value` rounded down (toward minus infinity) to a multiple of `step`."""
    return _steps(value, step, ROUND_FLOOR)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """`value` rounded up to a multiple of `step`."""
    return _steps(value, step, ROUND_CEILING)


def nearest(value: Decimal, step: Decimal) -> Decimal:
    """`value` rounded to the nearest multiple of `step`, ties to even."""
    return _steps(value, step, ROUND_HALF_EVEN)


def _steps(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    # The division itself must not round: a quotient just below a whole number would become that number, and a
    # quantity rounded "down" would exceed what is held.
    with localcontext() as exactly:
        exactly.prec = 100
        exactly.rounding = rounding
        return (value / step).to_integral_value() * step


def plain(value: Decimal) -> str:
    """Exact text without exponent or trailing zeros; the form money has in the database and in hashes."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
