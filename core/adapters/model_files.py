"""Model files on disk: handed out only when they are, bit for bit, what the ledger registered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from core.domain.decisions import ModelVersion
from core.errors import DataFault
from core.ports import Predictor


class ModelFiles:
    """Implements the ModelStore port. `build` makes a predictor from the flat file's bytes.

    The joblib file beside it is hashed and never unpickled here: unpickling runs code and needs scikit-learn.
    """

    def __init__(self, folder: Path, build: Callable[[bytes, ModelVersion], Predictor]) -> None:
        self._folder = folder
        self._build = build

    def load(self, version: ModelVersion) -> Predictor:
        """Raises DataFault when a file is missing, unreadable or not the ledger's."""
        self._verified(version, version.path, version.sha256)
        return self._build(self._verified(version, version.flat_path, version.flat_sha256), version)

    def _verified(self, version: ModelVersion, name: str, expected: str) -> bytes:
        path = self._folder / name
        if not path.resolve().is_relative_to(self._folder.resolve()):
            raise DataFault("model", f"{version.version}: {name} lies outside the models folder")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataFault("model", f"{version.version}: {name} cannot be read ({error.strerror})") from error
        found = hashlib.sha256(data).hexdigest()
        if found != expected:
            raise DataFault(
                "model", f"{version.version}: {name} has SHA-256 {found[:12]}..., the ledger says {expected[:12]}..."
            )
        return data
