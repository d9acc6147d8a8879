"""A trained random forest as flat numpy arrays: predicts what scikit-learn would, without importing it."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.series import Floats

Indices = NDArray[np.int32]
Places = NDArray[np.intp]

_CHUNK = 512
_FEW = 4_000
_FORMAT = 1
QUANTILES = 101


@dataclass(frozen=True, slots=True, eq=False)
class FlatForest:
    """All trees one after another. Node arrays have one length; `roots` holds each tree's first node.

    A row goes left where its feature, as float32, is at most `threshold` (float64): scikit-learn's own rule. A leaf is
    its own child on both sides. `probability` is the share of the positive class in a node. `depth` is that of the
    deepest tree. `quantiles` holds, for each feature, the least of its values in training, each hundredth part of them
    and the greatest: shape (features, 101); None in files of before they were kept.
    """

    version: str
    event: str
    feature_names: tuple[str, ...]
    feature_version: int
    roots: Indices
    feature: Indices
    threshold: Floats
    left: Indices
    right: Indices
    probability: Floats
    depth: int
    quantiles: Floats | None = None
    _children: Places = field(init=False, repr=False)
    _asked: Places = field(init=False, repr=False)
    _limit: NDArray[np.float32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Children side by side; indices in the machine's own size, into which numpy would turn all others at each
        look-up; thresholds as the greatest float32 at or below them: a float32 is above the one exactly where it is
        above the other."""
        limit = self.threshold.astype(np.float32)
        limit = np.where(limit > self.threshold, np.nextafter(limit, np.float32(-np.inf)), limit)
        object.__setattr__(self, "_children", np.column_stack((self.left, self.right)).ravel().astype(np.intp))
        object.__setattr__(self, "_asked", self.feature.astype(np.intp))
        object.__setattr__(self, "_limit", limit)

    def predict(self, rows: Floats) -> Floats:
        """Probability of the event for each row: shape (n, features) to (n,). Rows must be finite.

        Trees are added one by one in their order, so that a row's answer does not depend on its company.
        """
        wide = np.ascontiguousarray(rows, np.float32)
        parts = [self._predict_chunk(wide[start : start + _CHUNK]) for start in range(0, len(wide), _CHUNK)]
        return np.concatenate(parts) if parts else np.empty(0, np.float64)

    def _predict_chunk(self, rows: NDArray[np.float32]) -> Floats:
        many = len(rows) * len(self.roots) > _FEW
        leaves = self._leaves_of_many(rows) if many else self._leaves_of_few(rows)
        added: Floats = np.cumsum(self.probability.take(leaves), axis=1)[:, -1]
        return added / len(self.roots)

    def _leaves_of_few(self, rows: NDArray[np.float32]) -> Places:
        """The leaf of each row in each tree, shape (n, trees): whole steps, because each call costs more than its
        work."""
        flat, begin = rows.ravel(), (np.arange(len(rows)) * rows.shape[1])[:, None]
        node: Places = np.broadcast_to(self.roots.astype(np.intp), (len(rows), len(self.roots)))
        for _ in range(self.depth):
            above = flat.take(begin + self._asked.take(node)) > self._limit.take(node)
            node = self._children.take(2 * node + above)
        return node

    def _leaves_of_many(self, rows: NDArray[np.float32]) -> Places:
        """The same, without taking along what has come to its leaf: most trees are far less deep than the deepest."""
        flat, trees = rows.ravel(), len(self.roots)
        found = np.tile(self.roots.astype(np.intp), len(rows))
        begin = np.repeat(np.arange(len(rows)) * rows.shape[1], trees)
        place, node = np.arange(len(found)), found.copy()
        for _ in range(self.depth):
            above = flat.take(begin + self._asked.take(node)) > self._limit.take(node)
            node = self._children.take(2 * node + above)
            under_way = self._children.take(2 * node) != node
            if 4 * int(np.count_nonzero(under_way)) < 3 * len(node):
                found[place] = node
                place, node, begin = place[under_way], node[under_way], begin[under_way]
        found[place] = node
        return found.reshape(len(rows), trees)

    def explain(self, row: Floats) -> tuple[float, Floats]:
        """What moved the answer for one finite row, shape (features,): the share of the event among all that the trees
        were grown on, and for each feature by how much its questions moved it from there. They add up to the answer.

        Each question moves a row from the share of its node to that of the child it goes to (Saabas, Interpreting
        random forests, 2014: decision-path contributions); the forest's move is the mean of its trees'.
        """
        wide = np.ascontiguousarray(row, np.float32)
        node, trees = self.roots, len(self.roots)
        moved = np.zeros(len(self.feature_names))
        for _ in range(self.depth):
            asked = self.feature.take(node)
            below = wide.take(asked) <= self.threshold.take(node)
            child = np.where(below, self.left.take(node), self.right.take(node))
            step = self.probability.take(child) - self.probability.take(node)
            moved += np.bincount(asked, step, minlength=len(moved))
            node = child
        return float(self.probability.take(self.roots).sum()) / trees, moved / trees

    def ranks(self, row: Floats) -> Floats | None:
        """The part of the training values of each feature that lies below the row's, 0 to 1; equal ones count half."""
        if self.quantiles is None:
            return None
        steps = self.quantiles.shape[1] - 1
        below = [np.searchsorted(own, value, side="left") for own, value in zip(self.quantiles, row, strict=True)]
        upto = [np.searchsorted(own, value, side="right") for own, value in zip(self.quantiles, row, strict=True)]
        middle: Floats = (np.array(below, np.float64) + np.array(upto, np.float64) - 1.0) / 2.0 / steps
        return np.clip(middle, 0.0, 1.0)

    def to_bytes(self) -> bytes:
        """An .npz archive of plain arrays; equal forests give equal bytes."""
        buffer = io.BytesIO()
        kept: dict[str, Any] = {} if self.quantiles is None else {"quantiles": self.quantiles}
        np.savez(
            buffer,
            format=np.array(_FORMAT),
            version=np.array(self.version),
            event=np.array(self.event),
            feature_names=np.array(self.feature_names),
            feature_version=np.array(self.feature_version),
            roots=self.roots,
            feature=self.feature,
            threshold=self.threshold,
            left=self.left,
            right=self.right,
            probability=self.probability,
            depth=np.array(self.depth),
            **kept,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> FlatForest:
        """Raises ValueError when `data` is no such archive or its arrays do not form trees; never unpickles."""
        if not zipfile.is_zipfile(io.BytesIO(data)):
            raise ValueError("not a forest file: no archive")
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            if int(arrays["format"]) != _FORMAT:
                raise ValueError(f"format {int(arrays['format'])} is not {_FORMAT}")
            forest = cls(
                str(arrays["version"]),
                str(arrays["event"]),
                tuple(str(name) for name in arrays["feature_names"]),
                int(arrays["feature_version"]),
                arrays["roots"].astype(np.int32),
                arrays["feature"].astype(np.int32),
                arrays["threshold"].astype(np.float64),
                arrays["left"].astype(np.int32),
                arrays["right"].astype(np.int32),
                arrays["probability"].astype(np.float64),
                int(arrays["depth"]),
                arrays["quantiles"].astype(np.float64) if "quantiles" in arrays else None,
            )
        except (KeyError, TypeError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(f"not a forest file: {error}") from error
        forest.check()
        return forest

    def check(self) -> None:
        """Raises ValueError unless every index points onward within the arrays and every probability is one."""
        nodes = len(self.feature)
        lengths = {len(column) for column in (self.threshold, self.left, self.right, self.probability)}
        if len(self.roots) == 0 or nodes == 0 or lengths != {nodes}:
            raise ValueError("forest without trees or with columns of unequal length")
        for name, column, end in (
            ("root", self.roots, nodes),
            ("left child", self.left, nodes),
            ("right child", self.right, nodes),
            ("feature", self.feature, len(self.feature_names)),
        ):
            if int(column.min()) < 0 or int(column.max()) >= end:
                raise ValueError(f"a {name} points outside the forest")
        own = np.arange(nodes)
        if (self.left < own).any() or (self.right < own).any():
            raise ValueError("a child lies before its parent")
        if not (np.isfinite(self.threshold).all() and (np.abs(self.probability - 0.5) <= 0.5 + 1e-9).all()):
            raise ValueError("a threshold or probability is not a number in its range")
        told = self.quantiles
        if told is not None and (told.shape != (len(self.feature_names), QUANTILES) or not np.isfinite(told).all()):
            raise ValueError("the quantiles of training are not those of the features")
