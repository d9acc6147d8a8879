"""The search for defaults, as declared beforehand: python -m core.learning.research --data FOLDER --on DATE.

Forecasts are made once and kept in `--work`, so that a run that was cut short goes on where it stopped; all that
follows from them is computed anew. Ends with the SHA-256 of the figures: equal runs print equal ones.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from core.learning import plans
from core.learning.declared import Configuration, Declaration, read_declaration, start_of
from core.learning.events import EVENTS
from core.learning.fitting import Grower, Pool
from core.learning.forecasting import Forecasts, forecast
from core.learning.history import DAY, History, read_histories
from core.learning.judging import Study, judged
from core.learning.market import market_of
from core.learning.surroundings import surroundings
from core.learning.trials import TRIALS
from core.learning.verdict import RESULTS
from core.series import COLUMNS, Floats


@dataclass(frozen=True, slots=True)
class Task:
    """One set of forecasts. `rule` names the plain rule whose bars alone are learned from; `wider` adds the inputs of
    the ablation."""

    event: str
    pool: Pool
    symbols: tuple[str, ...]
    rule: str = ""
    wider: bool = False

    @property
    def name(self) -> str:
        words = (self.event, self.pool.value, self.rule, "wider" if self.wider else "", str(len(self.symbols)))
        return "-".join(word.replace(" ", "_") for word in words if word)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when done."""
    parser = argparse.ArgumentParser(prog="python -m core.learning.research", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with daily/SYMBOL.csv.gz")
    parser.add_argument("--work", type=Path, required=True, help="folder to keep forecasts in")
    parser.add_argument("--on", required=True, metavar="YYYY-MM-DD", help="the day that the trials are dated")
    parser.add_argument("--jobs", type=int, default=1, help="processes that fit side by side")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--trials", type=Path, default=TRIALS)
    options = parser.parse_args(arguments)
    told = read_declaration()
    study = prepared(options.data, told, Grower(), options.work, options.jobs)
    found = judged(study, date.fromisoformat(options.on).isoformat(), options.trials)
    text = json.dumps(found, indent=1, sort_keys=True, allow_nan=False)
    options.results.write_text(f"{text}\n", "utf-8")
    print(f"figures sha256 {hashlib.sha256(text.encode()).hexdigest()}")
    return 0


def prepared(data: Path, told: Declaration, grower: Grower, work: Path, jobs: int) -> Study:
    """Everything that the judging needs: histories and the forecasts of every configuration."""
    end = datetime.combine(told.last + timedelta(days=1), datetime.min.time(), UTC)
    names = tuple(dict.fromkeys((*told.symbols, *told.transfer, "VIX")))
    histories = read_histories(data, names, end)
    digest = hash_of(histories.values())
    tasks = list(dict.fromkeys(_tasks(told)))

    def make(wanted: Sequence[Task]) -> list[Forecasts]:
        return _forecasts(wanted, histories, told, grower, work, digest, jobs)

    by_task = dict(zip(tasks, make(tasks), strict=True))
    return Study(
        told,
        {name: histories[name] for name in (*told.symbols, *told.transfer)},
        {each.name: by_task[_task(each, told.symbols)] for each in told.configurations},
        lambda config: make([_task(config, told.transfer)])[0],
        by_task[_task(told.ablation, told.symbols)],
        by_task[Task(told.ablation.event, told.ablation.pool, told.symbols, wider=True)],
        digest,
        grower.seed,
        data,
    )


def hash_of(histories: Iterable[History]) -> str:
    """SHA-256 of every number of the histories, in their order."""
    digest = hashlib.sha256()
    for history in histories:
        digest.update(history.symbol.encode())
        for name in COLUMNS:
            digest.update(np.ascontiguousarray(getattr(history.bars, name)).tobytes())
        digest.update(np.ascontiguousarray(history.dividend).tobytes())
    return digest.hexdigest()


def _tasks(told: Declaration) -> Iterator[Task]:
    for each in (*told.configurations, told.ablation):
        yield _task(each, told.symbols)
    yield Task(told.ablation.event, told.ablation.pool, told.symbols, wider=True)


def _task(config: Configuration, symbols: tuple[str, ...]) -> Task:
    return Task(config.event, config.pool, symbols, config.rule)


def _forecasts(
    tasks: Sequence[Task],
    histories: Mapping[str, History],
    told: Declaration,
    grower: Grower,
    work: Path,
    digest: str,
    jobs: int,
) -> list[Forecasts]:
    from joblib import Parallel, delayed
    from tqdm import tqdm

    work.mkdir(parents=True, exist_ok=True)
    seal = hashlib.sha256(f"{digest} {told.digest} {grower} {_code()}".encode()).hexdigest()[:16]
    calls = (delayed(_kept)(task, histories, told, grower, work / f"{task.name}-{seal}.npz") for task in tasks)
    made = Parallel(n_jobs=jobs, return_as="generator")(calls)
    return list(tqdm(made, total=len(tasks), unit="forecasts", file=sys.stderr))


def _code() -> str:
    """What the forecasts depend on besides data and settings: the text of the modules that make them."""
    here = Path(__file__).parent
    names = ("calibrating", "events", "fitting", "folds", "forecasting", "plans", "rules", "samples", "surroundings")
    texts = [(here / f"{name}.py").read_bytes() for name in names]
    texts.append((here.parent / "strategy" / "features.py").read_bytes())
    return hashlib.sha256(b"".join(texts)).hexdigest()


def _kept(task: Task, histories: Mapping[str, History], told: Declaration, grower: Grower, path: Path) -> Forecasts:
    """The forecasts of `task`, from `path` where they are kept there."""
    if path.exists():
        with np.load(path) as file:
            parts = [[file[f"{kind}{place}"] for place in range(len(task.symbols))] for kind in ("said", "base")]
        return Forecasts(tuple(parts[0]), tuple(parts[1]), ())
    made = _made(task, histories, told, grower)
    part = path.with_suffix(".part.npz")
    columns = {
        f"{kind}{place}": values
        for kind, pool in (("said", made.probability), ("base", made.base))
        for place, values in enumerate(pool)
    }
    with part.open("wb") as file:
        np.savez(file, allow_pickle=False, **columns)
    part.replace(path)
    path.with_suffix(".fits.json").write_text(json.dumps([asdict(each) for each in made.fits], default=str), "utf-8")
    return made


def _made(task: Task, histories: Mapping[str, History], told: Declaration, grower: Grower) -> Forecasts:
    chosen = [histories[symbol] for symbol in task.symbols]
    allowed: list[Floats] | None = None
    if task.rule:
        days = np.concatenate([history.days() for history in chosen])
        allowed = plans.long_bars(task.rule, chosen, market_of(chosen, int(days.min()), int(days.max())))
    extra = surroundings(chosen, histories) if task.wider else None
    end = start_of(told.last) + 2 * DAY
    return forecast(chosen, EVENTS[task.event], task.pool, told.starts(), end, grower, extra, allowed)


if __name__ == "__main__":
    sys.exit(main())
