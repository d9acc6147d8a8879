"""Errors that travel between processes keep their class and what they know."""

from __future__ import annotations

import pickle

import pytest

from core.errors import DataFault, NoBars, UnknownSymbol


@pytest.mark.parametrize("kind", [DataFault, UnknownSymbol, NoBars])
def test_a_fault_of_an_instrument_comes_back_as_what_it_was(kind: type[DataFault]) -> None:
    fault = kind("SPY", "why it cannot be used")
    fault.add_note("seen in the worker")
    back = pickle.loads(pickle.dumps(fault))
    assert (type(back), back.symbol, back.reason, str(back)) == (kind, "SPY", fault.reason, str(fault))
    assert back.__notes__ == ["seen in the worker"]
