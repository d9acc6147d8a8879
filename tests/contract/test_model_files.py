from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.adapters.model_files import ModelFiles
from core.domain.decisions import ModelVersion
from core.errors import DataFault
from core.strategy.predictor import ForestPredictor
from tests.forest_builders import save, small_forest
from tests.series_builders import random_walk

pytestmark = pytest.mark.feature("S5")


def test_files_that_are_the_ledgers_become_a_predictor(tmp_path: Path) -> None:
    model = save(small_forest(), tmp_path)
    predictor = ModelFiles(tmp_path, ForestPredictor.from_bytes).load(model)
    assert predictor.version == model.version
    assert predictor.predict(random_walk(count=200)) is not None


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["small.joblib", "small.npz"])
@pytest.mark.parametrize(
    "damage",
    [flip, Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-1]), lambda path: path.write_bytes(b"")],
)
def test_a_damaged_or_missing_file_is_refused(tmp_path: Path, name: str, damage: Callable[[Path], object]) -> None:
    model = save(small_forest(), tmp_path)
    damage(tmp_path / name)
    with pytest.raises(DataFault, match=name):
        ModelFiles(tmp_path, ForestPredictor.from_bytes).load(model)


@pytest.mark.parametrize("name", ["../small.npz", "/etc/hostname", "sub/../../small.npz"])
def test_a_path_that_leaves_the_models_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    model = save(small_forest(), tmp_path)
    with pytest.raises(DataFault, match="outside"):
        ModelFiles(folder, ForestPredictor.from_bytes).load(replace(model, path=name))


def test_nothing_is_built_from_files_that_do_not_match(tmp_path: Path) -> None:
    def build(data: bytes, version: ModelVersion) -> ForestPredictor:
        raise AssertionError("was handed unverified bytes")

    model = save(small_forest(), tmp_path)
    flip(tmp_path / model.path)
    with pytest.raises(DataFault):
        ModelFiles(tmp_path, build).load(model)
