"""Where the bars come from: another source, none, the best one again; and series that were told anew. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from bot import numbers
from bot.markup import bold, code, esc, line, paragraphs, table
from bot.message import Message
from bot.render_reasons import words
from core.domain.events import BarSourceNews, BarSourcesChanged, BarsRetold
from core.feed.coverage import Coverage

NAMES = {"yahoo": "Yahoo", "alpaca": "Alpaca", "simulated": "the simulated market", "files": "your files"}
SHOWN_ON_TOP = 3


def render(event: BarSourcesChanged | BarsRetold, zone: ZoneInfo) -> Message:
    """`event` for the owner, with times in his `zone`."""
    return _sources(event, zone) if isinstance(event, BarSourcesChanged) else _retold(event, zone)


def _sources(event: BarSourcesChanged, zone: ZoneInfo) -> Message:
    """Each change in a paragraph; the first line is that of the most serious one."""
    parts = [part for news in sorted(event.news, key=lambda one: one.turn != "held") for part in _one(news, zone)]
    return Message(paragraphs(*parts) or bold("Where bars come from has changed"))


def _one(news: BarSourceNews, zone: ZoneInfo) -> tuple[str, ...]:
    symbols, source = _symbols(news.symbols), line(source_name(news.source), 40)
    everything = esc(", ".join(news.symbols)) if len(news.symbols) > SHOWN_ON_TOP else ""
    reason = f"{_upper(esc(words(news.reason, zone)))}." if news.reason.strip() else ""
    match news.turn:
        case "held":
            last = f"The last good ones are from {numbers.moment(news.newest, zone)}." if news.newest else ""
            meaning = (
                f"I open nothing new there until {source} has answered again twice. Stops, targets and exits go on."
            )
            return f"🟠 {bold(f'{symbols}: no new bars')}", everything, f"{last} {meaning}".strip(), reason
        case "moved":
            fit = (
                f"{numbers.count(news.compared, 'bar')} that both have differ by at most "
                f"{numbers.percent(news.difference, places=2)}; where it goes on is written down."
                if news.compared
                else ""
            )
            former = line(source_name(news.former), 40)
            text = f"{former} gives none, so {source} continues. {fit}".strip()
            return f"🔀 {bold(f'{symbols}: bars from {source}')}", everything, _upper(text), reason
        case _:
            text = f"{source} answers reliably again. New entries are allowed there as ever."
            return f"💚 {bold(f'{symbols}: bars from {source} again')}", everything, _upper(text)


def _retold(event: BarsRetold, zone: ZoneInfo) -> Message:
    """A split where whole shares are plain to see, else a change of units without a name."""
    source = line(source_name(event.source), 40)
    title = f"✂️ {bold(f'{line(event.symbol, 20)}: prices in new units')}"
    ratio = f"{event.ratio:.4g}" if event.ratio >= 1 else f"1/{1 / event.ratio:.4g}" if event.ratio > 0 else "?"
    text = (
        f"{_upper(source)} now tells prices until {numbers.moment(event.until, zone)} divided by {esc(ratio)}: a "
        "split, or a dividend taken out of them. I have fetched the whole history anew, so that forecasts and charts "
        "see no jump. Your shares and levels change only when your broker books it, or you with /split."
    )
    return Message(paragraphs(title, text))


def coverage(series: Sequence[Coverage]) -> Message:
    """How much of each series is there; what is missing in words."""
    missing, lacking = sum(one.missing for one in series), sum(one.lacking for one in series)
    if not missing:
        title = bold("Bars: none missing")
    elif missing == lacking:
        title = bold(f"Bars: {missing:,} not to be had")
    else:
        title = bold(f"Bars: {missing:,} missing")
    rows = [(f"{one.symbol} {one.size}", _share(one)) for one in series]
    parts = []
    if missing > lacking:
        parts.append(f"{numbers.count(missing - lacking, 'bar')} will be asked for, a few calls at a time.")
    if lacking:
        parts.append(f"{numbers.count(lacking, 'bar')} were asked for, and the source does not have them.")
    refused = sum(count for one in series for count in one.refused.values())
    if refused:
        parts.append(f"{numbers.count(refused, 'bar')} were refused as faulty.")
    more = f"{code('autotrader bars --gaps')} on the server lists every gap and why."
    return Message(paragraphs(f"🧩 {title}", table(rows), " ".join(parts), more))


def _share(one: Coverage) -> str:
    share = "100%" if not one.missing else numbers.percent(min(one.share, 0.9999), places=2)
    return f"{share} {one.source}"


def nothing_of(wanted: Sequence[str], known: Sequence[str]) -> Message:
    """None of the symbols has bars."""
    title = bold("No such bars" if wanted else "No bars yet")
    there = f"There are bars of {esc(', '.join(known))}." if known else "The first ones come with the next cycle."
    asked = f"Nothing is stored of {esc(' '.join(wanted))}." if wanted else ""
    return Message(paragraphs(f"🧩 {title}", f"{asked} {there}".strip()))


def no_store() -> Message:
    return Message(paragraphs(f"🧩 {bold('No bars here')}", "This engine was started without a store of bars."))


def source_name(source: str) -> str:
    """A source of bars as the owner knows it; plain text."""
    return NAMES.get(source, source)


def _symbols(symbols: Sequence[str]) -> str:
    shown = ", ".join(line(symbol, 20) for symbol in symbols[:SHOWN_ON_TOP])
    more = len(symbols) - SHOWN_ON_TOP
    return f"{shown} and {more} more" if more > 0 else shown or "Bars"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
