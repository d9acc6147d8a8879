"""A real Dask cluster on loopback, run as a script in a process that has `distributed` on its path: trains on it and
prints what came out. Apart from the tests' own process, which has no Dask."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from core.series import time_of
from jobs.fan_out import FanOut
from jobs.walk_forward import Cadence, Past, made, one_by_one, planned
from tests.forest_builders import SMALL
from tests.series_builders import random_walk


def main(folder: Path) -> None:
    from distributed import LocalCluster

    series = random_walk("SPY", 420, seed=8)
    past = Past((series,), SMALL)
    start, end = time_of(series.closed_at[299]), time_of(series.closed_at[-1])
    dues = planned(past, start, end, Cadence(min_new_labels=40))
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        found = made(past, dues, folder / "there", FanOut(1, cluster.scheduler_address).map, lambda: None)
    here = made(past, dues, folder / "here", one_by_one, lambda: None)
    print(
        json.dumps(
            {
                "trainings": len(found),
                "equal": [each.bundle.to_bytes() for each in found] == [each.bundle.to_bytes() for each in here],
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
