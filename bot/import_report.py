"""What an import came to, file by file, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bot.importing import FileOutcome, ImportReport, SeriesTaken
from core.domain.bar_records import Seam

FIRST_SENTENCES = 2
"""So many refusals of a class are quoted."""


def words(report: ImportReport) -> str:
    """One paragraph a file, and what it is all together."""
    lines = [line for outcome in report.files for line in _file(outcome, report.dry_run)]
    if report.skipped_folders:
        lines.append(f"not looked into: the folders {', '.join(report.skipped_folders)}")
    return "\n".join([*lines, _total(report)])


def exit_code(report: ImportReport) -> int:
    """3 where a file was refused as a whole; single bars that were refused are told, and are no failure."""
    return 3 if any(outcome.refused for outcome in report.files) else 0


def _file(outcome: FileOutcome, dry_run: bool) -> Iterator[str]:
    if outcome.refused:
        yield f"no    {outcome.name}: {outcome.refused}"
    elif outcome.unused:
        yield f"-     {outcome.name}: not used: {outcome.unused}"
    elif outcome.before:
        yield f"done  {outcome.name}: taken on {outcome.before[:16].replace('T', ' ')} UTC, not read again"
    else:
        for series in outcome.series:
            yield f"ok    {outcome.name}: {_series(series, dry_run)}"
            yield from _refusals(series)


def _series(series: SeriesTaken, dry_run: bool) -> str:
    counts = [
        (series.taken, "would be taken" if dry_run else "taken"),
        (series.known, "already there"),
        (series.inside, "of times that another source's bars tell of"),
        (series.covered, "of days that other files tell of"),
        (series.repeated, "exact repetitions"),
        (len(series.refused), "refused"),
    ]
    told = ", ".join(f"{count:,} {what}" for count, what in counts if count or what.endswith("taken"))
    seams = "".join(f"; {_seam(seam)}" for seam in series.seams)
    return f"{series.symbol} {series.size}, {series.rows:,} rows ({series.words}): {told}{seams}"


def _seam(seam: Seam) -> str:
    at = f"{seam.source_from} until {seam.source_to} goes on at {seam.at:%Y-%m-%d %H:%MZ}"
    if not seam.compared:
        return f"{at}, after a pause: nothing to compare them by"
    return f"{at}: {seam.compared:,} bars of both differ by {seam.difference:.2%} at most"


def _refusals(series: SeriesTaken) -> Iterator[str]:
    for defect, count in sorted(Counter(refusal.defect for refusal in series.refused).items()):
        yield f"      {count:,} {defect}:"
        first = [refusal.sentence for refusal in series.refused if refusal.defect is defect][:FIRST_SENTENCES]
        yield from (f"        {sentence}" for sentence in first)


def _total(report: ImportReport) -> str:
    series = [each for outcome in report.files for each in outcome.series]
    kinds = [
        (sum(bool(outcome.series) for outcome in report.files), "read"),
        (sum(bool(outcome.before) for outcome in report.files), "taken before"),
        (sum(bool(outcome.unused) for outcome in report.files), "not used"),
        (sum(bool(outcome.refused) for outcome in report.files), "refused"),
    ]
    told = ", ".join(f"{count} {what}" for count, what in kinds if count)
    bars, there = sum(each.taken for each in series), sum(each.known for each in series)
    refused = sum(len(each.refused) for each in series)
    verb = "would be taken (nothing was written)" if report.dry_run else "taken"
    return f"{len(report.files)} files: {told}. {bars:,} bars {verb}, {there:,} already there, {refused:,} refused."
