from __future__ import annotations

import argparse
from collections.abc import Mapping

import pytest

from bot import cli, entry


@pytest.mark.parametrize("words", [[], ["run"]])
def test_without_a_verb_the_orchestrator_starts(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def started(options: argparse.Namespace, _environ: Mapping[str, str]) -> int:
        return 40 + sum(given is None for given in (options.speed, options.world, options.seed))

    monkeypatch.setattr(entry, "run", started)
    assert cli.main(words) == 43
