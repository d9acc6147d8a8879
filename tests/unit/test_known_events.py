"""Every known event of the real market data passes the gate: closures, half days, splits, crashes, outages."""

from __future__ import annotations

import pytest

from core.quality import Defect, inspect
from tests.fakes_bars import needs_shared_data
from tests.known_events import BESIDE, Event, around, arrival, defect_rows, events, made_rows

KNOWN = events() if needs_shared_data.folder.is_dir() else []


@needs_shared_data
@pytest.mark.shared_data
@pytest.mark.feature("S2")
@pytest.mark.parametrize("kind", sorted({event.kind for event in KNOWN}) or [""])
def test_what_really_happened_passes_at_once_and_bar_by_bar(kind: str) -> None:
    for event in (each for each in KNOWN if each.kind == kind):
        series = around(event)
        assert len(series) > BESIDE, event
        assert inspect(series).refused == (), event
        stored, refused = arrival(series)
        assert {each.defect for each in refused} <= {Defect.UNCONFIRMED}, event
        assert len(stored) == len(series), event


@needs_shared_data
@pytest.mark.shared_data
def test_all_of_them_are_looked_at() -> None:
    assert len(KNOWN) == 127
    assert Event.__str__(KNOWN[0]) == "2000-03-20 QQQ split"


@needs_shared_data
@pytest.mark.shared_data
@pytest.mark.feature("S2")
def test_each_class_of_defect_is_found_and_put_into_a_sentence() -> None:
    found = {name: sentence for name, _, sentence in (*defect_rows(), *made_rows())}
    assert {str(defect) for defect in Defect} - set(found) == {"outside every session"}
    assert all(name in sentence for name, sentence in found.items() if name != "repetition")
