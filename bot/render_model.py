"""The model in words: what it foresees, how good it is beside guessing, what became of those before it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from bot import numbers
from bot.markup import bold, code, esc, italic, line, paragraphs, table
from bot.menus import menu_token
from bot.message import Button, Keyboard, Message
from bot.model_desk import ModelView
from bot.render_reasons import full_sentence, sentence, words
from core.domain.contests import Contest
from core.domain.decisions import ModelVersion
from core.domain.events import ModelRestored
from core.domain.skill import ALL, LiveSkill, Standing, TrackedPrediction, Trust
from jobs.model_changes import Change, Fate

MOST_CHANGES = 6
_FATES = {
    Fate.LIVE: "in use",
    Fate.WON: "in use, won a contest",
    Fate.BACK: "in use again",
    Fate.REJECTED: "set aside",
}


_TRUST = {Trust.TRUSTED: "trusted", Trust.THROTTLED: "half the size", Trust.OBSERVED: "watched only"}


def model(view: ModelView, zone: ZoneInfo, *, by_rule: bool = False) -> Message:
    """What /model shows. `by_rule`: the plain rule decides, and forecasts are asked by nobody."""
    if view.model is None:
        needed = "the plain rule decides without one" if by_rule else "nothing is bought without one"
        nothing = f"No model is in use: {needed}. Positions stay guarded."
        return Message(
            paragraphs(f"🧠 {bold('No model yet')}", nothing, _last_training(view, zone), _verdict(view, zone)),
            ((Button("🎓 Train now", menu_token("model-train")),),),
        )
    return Message(
        paragraphs(
            f"🧠 {bold(f'Model {line(view.model.version, 20)}')}\n{_since(view, zone)}",
            "The plain rule decides (/settings profile): forecasts are only written down." if by_rule else "",
            _held(view, zone),
            _meaning(view.model, view.recipe),
            table(_figures(view.model, zone)),
            paragraphs(f"{bold('Live, forecasts of the last year')}\n{_live(view.scored)}", _live_gain(view.skill)),
            _doubts(view.doubted, zone),
            _history(view.changes, zone),
            _contest(view.contest, zone),
            _last_training(view, zone),
            _verdict(view, zone),
        ),
        _keyboard(view, zone),
    )


def _since(view: ModelView, zone: ZoneInfo) -> str:
    since = view.in_use_since
    if since is None or view.model is None:
        return ""
    return f"in use since {numbers.moment(since, zone)}, learned {numbers.span(view.now - view.model.trained_at)} ago"


def _held(view: ModelView, zone: ZoneInfo) -> str:
    if view.held is None:
        return ""
    return (
        f"⏪ You went back to it on {numbers.moment(view.held.since, zone)}. Nothing is trained by itself until "
        f"{numbers.moment(view.held.until, zone)}, or until you let it go on."
    )


def _meaning(found: ModelVersion, recipe: str) -> str:
    named = f" Recipe {code(line(found.recipe, 30))}{f': {line(recipe)}' if recipe else ''}." if found.recipe else ""
    return f"It says how likely this is: {line(found.event)}.{named}"


def _figures(found: ModelVersion, zone: ZoneInfo) -> list[tuple[str, str]]:
    gain = found.baseline_log_loss - found.validation_log_loss
    return [
        ("Learned", f"{found.rows:,} rows"),
        ("Until", numbers.moment(found.last_bar_at, zone)),
        ("Checked", f"{found.validation_rows:,} unseen rows"),
        ("Log loss", numbers.measure(found.validation_log_loss, 4)),
        ("Guessing", numbers.measure(found.baseline_log_loss, 4)),
        ("Skill", f"{'+' if gain > 0 else ''}{numbers.measure(gain, 4)} (0 is guessing)"),
        ("AUC", f"{numbers.measure(found.validation_auc)} (0.5 is luck)"),
        ("Base rate", f"{numbers.percent(found.base_rate)} came true"),
    ]


def _live(scored: Sequence[TrackedPrediction]) -> str:
    """A line an asset: how often the likelier half came true."""
    if not scored:
        return "None has come due yet: it takes until the event is known."
    names = sorted({each.prediction.symbol for each in scored})
    rows = [(name, _hits([each for each in scored if each.prediction.symbol == name])) for name in names]
    return table([*rows, *([("All", _hits(scored))] if len(rows) > 1 else [])])


def _live_gain(skill: LiveSkill | None) -> str:
    """The live log loss beside always saying the base rate that was known, and what that is worth."""
    whole = skill.whole if skill is not None else None
    if whole is None:
        return ""
    gain = f"{'+' if whole.gain > 0 else ''}{numbers.measure(whole.gain, 4)}"
    reach = ""
    if whole.gain_low is not None and whole.gain_high is not None:
        reach = f" (90 % interval {numbers.measure(whole.gain_low, 4)} to {numbers.measure(whole.gain_high, 4)})"
    told = numbers.count(round(whole.independent), "independent outcome")
    return f"Live skill {gain} nats{reach}, of {told}."


def _doubts(doubted: Sequence[Standing], zone: ZoneInfo) -> str:
    """Whose purchases the live record halves or holds back."""
    if not doubted:
        return ""
    lines = [
        f"{line('All assets' if each.symbol == ALL else each.symbol, 20)} {_TRUST[each.trust]}: "
        f"{line(words(each.reason, zone))}"
        for each in doubted
    ]
    return "\n".join([bold("By the live record"), *lines])


def _hits(scored: Sequence[TrackedPrediction]) -> str:
    hits = sum(each.is_hit for each in scored)
    return f"{hits:,} of {len(scored):,} ({numbers.percent(hits / len(scored), places=0)})"


def _history(changes: Sequence[Change], zone: ZoneInfo) -> str:
    if not changes:
        return ""
    return "\n".join([bold("What became of models"), *(_change(each, zone) for each in changes[:MOST_CHANGES])])


def _change(change: Change, zone: ZoneInfo) -> str:
    why = f": {sentence(change.why, zone, 160)}" if change.why else ""
    day = change.at.astimezone(zone)
    return f"{day.day} {day:%b %H:%M} {code(line(change.version, 20))} {_FATES[change.fate]}{why}"


def _contest(contest: Contest | None, zone: ZoneInfo) -> str:
    """Who was measured against the champion's recipe, and by how much; who was no challenge is counted."""
    if contest is None:
        return ""
    measured = [each for each in contest.attempts[1:] if each.level is not None]
    lines = [
        bold(f"Contest of recipes {contest.number}, {_day(contest.at, zone)}"),
        full_sentence(contest.outcome, zone),
        *(f"{code(line(each.recipe, 30))}: {line(words(each.why, zone))}" for each in measured),
    ]
    others = len(contest.attempts) - 1 - len(measured)
    if others:
        lines.append(f"{numbers.count(others, 'other')} could not challenge: the event passes the gate by itself.")
    return "\n".join(lines)


def _last_training(view: ModelView, zone: ZoneInfo) -> str:
    run = view.last_training
    if run is None or not run.detail:
        return ""
    return italic(f"Last look, {numbers.moment(run.scheduled_at, zone)}: {full_sentence(run.detail, zone)}")


def _verdict(view: ModelView, zone: ZoneInfo) -> str:
    return f"{bold('What research says')}\n{full_sentence(view.verdict, zone)}"


def _keyboard(view: ModelView, zone: ZoneInfo) -> Keyboard:
    train = (
        Button("🎓 Train now", menu_token("model-train"))
        if view.held is None
        else Button("▶️ Train on", menu_token("model-on"))
    )
    rows: list[tuple[Button, ...]] = [(Button("📈 Picture", menu_token("model-picture")), train)]
    if view.former is not None:
        label = f"⏪ Go back to {view.former.version}, {_day(view.former.trained_at, zone)}"
        rows.append((Button(label[:60], menu_token(f"model-back-{view.former.version}")),))
    return tuple(rows)


def _day(at: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    return f"{local.day} {local:%b}"


def question(now: ModelVersion, wanted: ModelVersion, holds: str, zone: ZoneInfo) -> str:
    """Both models side by side, before the owner confirms; `holds` is how long training would wait."""
    title = f"⏪ {bold(f'Go back to model {line(wanted.version, 20)}?')}"
    effect = (
        "Its files are checked first; it decides from the next tick on. Orders, positions and stops stay as they are. "
        f"Nothing is trained by itself for {holds}, or until you let it go on."
    )
    return paragraphs(title, table(list(_beside(now, wanted, zone))), effect)


def _beside(now: ModelVersion, wanted: ModelVersion, zone: ZoneInfo) -> Iterator[tuple[str, str]]:
    for label, one, other in (
        ("Version", now.version, wanted.version),
        ("Recipe", now.recipe or numbers.MISSING, wanted.recipe or numbers.MISSING),
        ("Learned", _day(now.trained_at, zone), _day(wanted.trained_at, zone)),
        ("Rows", f"{now.rows:,}", f"{wanted.rows:,}"),
        ("Log loss", *(numbers.measure(each.validation_log_loss, 4) for each in (now, wanted))),
        ("Guessing", *(numbers.measure(each.baseline_log_loss, 4) for each in (now, wanted))),
        ("AUC", *(numbers.measure(each.validation_auc) for each in (now, wanted))),
    ):
        yield label, one if one == other else f"{one} → {other}"


def restored(event: ModelRestored, zone: ZoneInfo) -> Message:
    """The owner went back to an earlier model."""
    rows = (
        ("Instead of", event.former),
        ("Learned", numbers.moment(event.trained_at, zone)),
        ("Until", numbers.moment(event.last_bar_at, zone)),
        ("Log loss", numbers.measure(event.log_loss, 4)),
        ("Guessing", numbers.measure(event.baseline_log_loss, 4)),
    )
    wait = f"Training waits until {numbers.moment(event.held_until, zone)}, or until you let it go on in /model."
    meaning = f"It says how likely this is: {line(event.event)}."
    return Message(paragraphs(f"⏪ {bold(f'Back to model {line(event.version, 20)}')}", meaning, table(rows), wait))


def caption(scored: Sequence[TrackedPrediction]) -> str:
    """Under the picture."""
    day = f"{scored[0].prediction.bar_closed_at:%Y-%m-%d} to {scored[-1].prediction.bar_closed_at:%Y-%m-%d}"
    return paragraphs(
        f"📈 {bold('Forecasts that came true')}\n{day}: {_hits(scored)}",
        "A forecast comes true where the half that it held likelier happened. Assets move together and events overlap: "
        "luck reaches further than the band shows.",
    )


def unknown(spoken: str) -> Message:
    named = f"“{esc(spoken, 30)}”" if spoken else "that"
    return Message(f"There is no model {named}, or more than one. /model shows what was in use.")
