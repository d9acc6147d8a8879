"""What is kept for good costs no collection anything, and what comes later is collected as ever."""

from __future__ import annotations

import gc
import weakref

import pytest

from bot.kept import keep_what_exists, kept_for_good


class Ring:
    """Only the collector can let go of it."""

    def __init__(self) -> None:
        self.itself = self


def seen_by_the_collector(thing: object) -> bool:
    return any(each is thing for each in gc.get_objects())


def test_what_is_loaded_inside_is_out_of_the_collectors_sight() -> None:
    with kept_for_good():
        assert not gc.isenabled()
        loaded = Ring()
    assert gc.isenabled()
    assert not seen_by_the_collector(loaded)


def test_the_collector_works_again_after_a_load_that_failed() -> None:
    with pytest.raises(ImportError), kept_for_good():
        raise ImportError
    assert gc.isenabled()


def test_what_comes_after_a_start_is_collected() -> None:
    before = Ring()
    keep_what_exists()
    assert not seen_by_the_collector(before)
    after = weakref.ref(Ring())
    gc.collect()
    assert after() is None
