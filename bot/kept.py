"""What lives as long as the process is taken out of the garbage collector's sight.

A full collection walks through every object that is left, with every thread standing still meanwhile: with the
packages of this program that is a third of a second on a small machine, in which nobody gets an answer.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_for_good() -> Iterator[None]:
    """For loading code: nothing is collected inside, and whatever exists at the end is never looked at again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def keep_what_exists() -> None:
    """At the end of a start. Rings of dead objects among it stay in memory too: they are few, and it happens once."""
    gc.freeze()
