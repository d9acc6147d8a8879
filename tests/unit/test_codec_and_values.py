"""The stored form of values, exact numbers, and the promise that the domain needs nothing but Python."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import core.domain
from core.domain.accounts import Mode
from core.domain.codec import canonical, decode, encode
from core.domain.values import ceil_to, exact, floor_to, nearest, plain

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sample:
    amount: Decimal
    at: datetime
    pair: tuple[str, int] = ("a", 1)
    many: tuple[tuple[str, str], ...] = ()
    words: frozenset[str] = frozenset()
    by_name: dict[str, Decimal] | None = None
    mode: Mode = Mode.AUTO


def test_a_dataclass_comes_back_with_its_nested_values() -> None:
    sample = Sample(Decimal("1.50"), NOON, ("b", 2), (("x", "y"),), frozenset({"q", "p"}), {"SPY": Decimal(3)})
    assert decode(Sample, encode(sample)) == sample


def test_the_canonical_form_is_one_text_for_one_value() -> None:
    here = datetime(2024, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    one = canonical(Sample(Decimal("1.50"), NOON, words=frozenset({"q", "p"})))
    assert one == canonical(Sample(Decimal("1.5"), here, words=frozenset({"p", "q"})))
    assert one.startswith('{"amount":"1.5","at":"2024-03-01T12:00:00+00:00"')


def test_a_field_added_later_takes_its_default_when_an_older_row_is_read() -> None:
    assert decode(Sample, {"amount": "1", "at": "2024-03-01T12:00:00+00:00"}) == Sample(Decimal(1), NOON)


@pytest.mark.parametrize(
    "value", [NOON.replace(tzinfo=None), float("nan"), float("inf")], ids=["naive time", "nan", "inf"]
)
def test_what_has_no_exact_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        canonical({"value": value})


def test_what_is_no_value_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        encode([object()])


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"amount": "many", "at": "2024-03-01T12:00:00+00:00"}, ValueError),
        ({"amount": "1", "at": "yesterday"}, ValueError),
        ({"amount": "1", "at": "2024-03-01T12:00:00+00:00", "mode": "reckless"}, ValueError),
        ({"amount": "1", "at": "2024-03-01T12:00:00+00:00", "pair": ["a"]}, ValueError),
        ({"amount": "1"}, TypeError),
    ],
)
def test_what_does_not_fit_is_refused(data: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        decode(Sample, data)  # type: ignore[arg-type]  # deliberately wrong


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.500", "1.5"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("1E-8", "0.00000001"),
        ("-0.00", "0"),
        ("0E+5", "0"),
        ("-0E-9", "0"),
        ("-2.50", "-2.5"),
    ],
)
def test_plain_text_has_no_exponent_and_no_trailing_zeros(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text


def test_exact_names_the_number_that_was_meant() -> None:
    assert exact(0.1) == Decimal("0.1")
    assert exact(0.1 + 0.2) == Decimal("0.30000000000000004")
    assert exact(3) == exact("3") == exact(Decimal(3)) == 3


steps = st.sampled_from([Decimal(1), Decimal("0.01"), Decimal("0.000001"), Decimal("0.05"), Decimal(7)])
numbers = st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, places=20)


@given(numbers, steps)
def test_rounding_goes_toward_safety_and_by_less_than_a_step(value: Decimal, step: Decimal) -> None:
    down, up, near = floor_to(value, step), ceil_to(value, step), nearest(value, step)
    assert down <= value <= up
    assert value - down < step
    assert up - value < step
    assert near in (down, up)
    assert abs(value - near) * 2 <= step
    assert all(each % step == 0 for each in (down, up, near))


def test_a_quantity_just_below_a_step_is_not_rounded_up_to_it() -> None:
    assert floor_to(Decimal("0." + "9" * 40), Decimal(1)) == 0


def test_the_domain_imports_nothing_but_the_standard_library() -> None:
    folder = Path(core.domain.__file__).parent
    imported: set[str] = set()
    for module in folder.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                imported.add(str(node.module))
    strangers = {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names}
    assert {name for name in strangers if not name.startswith("core.domain")} == set()
