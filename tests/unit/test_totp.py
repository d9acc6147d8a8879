"""One-time codes against the values that RFC 4226 and RFC 6238 print."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from core.totp import PERIOD, code_of, key_of, matching_step, step_of

pytestmark = pytest.mark.feature("A6")
KEY = b"12345678901234567890"
BY_COUNT = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
BY_TIME = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]


def test_codes_by_count_are_those_of_rfc_4226() -> None:
    assert [code_of(KEY, count) for count in range(10)] == BY_COUNT


@pytest.mark.parametrize(("seconds", "code"), BY_TIME)
def test_codes_by_time_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    assert code_of(KEY, step_of(datetime.fromtimestamp(seconds, UTC)), digits=8) == code


def test_a_secret_is_read_without_its_padding() -> None:
    assert key_of(base64.b32encode(KEY).decode()) == KEY
    assert key_of(base64.b32encode(b"1234567890123").decode().rstrip("=")) == b"1234567890123"


def test_clocks_may_differ_by_a_period_and_no_code_counts_twice() -> None:
    now = datetime(2026, 11, 25, 12, tzinfo=UTC)
    step = step_of(now)
    for beside in (-1, 0, 1):
        assert matching_step(KEY, code_of(KEY, step + beside), now, after=-1) == step + beside
    for far in (-2, 2):
        assert matching_step(KEY, code_of(KEY, step + far), now, after=-1) is None
    assert matching_step(KEY, code_of(KEY, step), now, after=step) is None
    later = now + timedelta(seconds=PERIOD)
    assert matching_step(KEY, code_of(KEY, step + 1), later, after=step) == step + 1
