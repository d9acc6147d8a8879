"""Every event as a message. Pure: the same event and zone give the same text."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot import (
    menus,
    numbers,
    render_alerts,
    render_away,
    render_bars,
    render_broker,
    render_cards,
    render_model,
    render_profiles,
    render_real_money,
    render_report,
    render_safety,
    render_settings,
    render_skill,
    render_system,
    render_trades,
)
from bot.markup import italic
from bot.message import Message
from core.domain.events import (
    BarSourcesChanged,
    BarsRetold,
    BarsStale,
    BrokerFellBack,
    BrokerReturned,
    BrokerTroubled,
    DailyReport,
    EngineStarted,
    ErrorRaised,
    Event,
    HealthChanged,
    InstructionChanged,
    InstructionIssued,
    InstructionSettled,
    LiveStatus,
    ModeChanged,
    ModelRestored,
    ModelTrained,
    NearStop,
    OrderFilled,
    OrderRefused,
    OrderUncertain,
    OwnerReturned,
    OwnerSilent,
    PositionUnguarded,
    ProfileContradicted,
    RealMoneyAsked,
    RealMoneyChanged,
    RealMoneyHeldBack,
    SettingsDiffer,
    SignalRaised,
    SkillChanged,
    StrangerSpoke,
    Welcome,
)

LATE_AFTER = timedelta(minutes=2)


def render(event: Event, zone: ZoneInfo) -> Message:
    """`event` for the owner, with times in his `zone`."""
    match event:
        case SignalRaised() | InstructionIssued() | InstructionChanged() | InstructionSettled() | OrderFilled():
            return _trade(event, zone)
        case OrderRefused():
            return render_trades.refused(event, zone)
        case OrderUncertain():
            return render_trades.uncertain(event, zone)
        case PositionUnguarded():
            return render_trades.unguarded(event, zone)
        case DailyReport():
            return render_report.report(event, zone)
        case (
            Welcome()
            | EngineStarted()
            | ModelTrained()
            | ModelRestored()
            | SkillChanged()
            | HealthChanged()
            | ErrorRaised()
            | StrangerSpoke()
            | ModeChanged()
        ):
            return _house(event, zone)
        case (
            SettingsDiffer()
            | ProfileContradicted()
            | OwnerSilent()
            | OwnerReturned()
            | RealMoneyAsked()
            | RealMoneyChanged()
            | RealMoneyHeldBack()
            | LiveStatus()
        ):
            return _owner(event, zone)
        case NearStop() | BarsStale() | BarSourcesChanged() | BarsRetold():
            return _prices(event, zone)
        case BrokerTroubled() | BrokerFellBack() | BrokerReturned():
            return render_broker.render(event, zone)
        case _:
            return render_safety.render(event, zone)


def _prices(event: NearStop | BarsStale | BarSourcesChanged | BarsRetold, zone: ZoneInfo) -> Message:
    if isinstance(event, NearStop | BarsStale):
        return render_alerts.render(event, zone)
    return render_bars.render(event, zone)


def _trade(
    event: SignalRaised | InstructionIssued | InstructionChanged | InstructionSettled | OrderFilled, zone: ZoneInfo
) -> Message:
    match event:
        case SignalRaised():
            return render_trades.signal(event, zone)
        case InstructionIssued():
            return render_cards.card(event, zone, event.badges)
        case InstructionChanged():
            return render_cards.card(event.card, zone, event.badges)
        case InstructionSettled():
            return render_cards.settled(event, zone)
        case OrderFilled():
            return render_trades.fill(event, zone)


def _house(
    event: Welcome
    | EngineStarted
    | ModelTrained
    | ModelRestored
    | SkillChanged
    | HealthChanged
    | ErrorRaised
    | StrangerSpoke
    | ModeChanged,
    zone: ZoneInfo,
) -> Message:
    match event:
        case Welcome():
            return render_system.welcome(event, menus.menu(paused=False))
        case EngineStarted():
            return render_system.started(event, zone)
        case ModelRestored():
            return render_model.restored(event, zone)
        case ModelTrained():
            return render_system.model(event, zone)
        case SkillChanged():
            return render_skill.changed(event)
        case HealthChanged():
            return render_system.health(event, zone)
        case ErrorRaised():
            return render_system.error(event)
        case StrangerSpoke():
            return render_system.stranger(event)
        case ModeChanged():
            return render_system.mode(event, zone)


def _owner(
    event: SettingsDiffer
    | ProfileContradicted
    | OwnerSilent
    | OwnerReturned
    | RealMoneyAsked
    | RealMoneyChanged
    | RealMoneyHeldBack
    | LiveStatus,
    zone: ZoneInfo,
) -> Message:
    match event:
        case RealMoneyAsked() | RealMoneyChanged() | RealMoneyHeldBack():
            return render_real_money.render(event, zone)
        case LiveStatus():
            return Message("📍 Live status: it follows with the next cycle.")
        case SettingsDiffer():
            return render_settings.differs(event)
        case ProfileContradicted():
            return render_profiles.contradicted(event)
        case OwnerSilent():
            return render_away.silent(event, zone)
        case OwnerReturned():
            return render_away.returned(event, zone)


def stamped(message: Message, created_at: datetime, now: datetime, zone: ZoneInfo, *, repeat: bool) -> Message:
    """`message` with a word about its delivery: how late it comes (D4), whether it may be a repetition (D3).

    Both times by the system clock.
    """
    notes = []
    if repeat:
        notes.append("🔁 Possible repeat: I do not know whether this arrived before.")
    if now - created_at > LATE_AFTER:
        notes.append(f"⏱ Late by {numbers.span(now - created_at)}: this is from {numbers.moment(created_at, zone)}.")
    if not notes:
        return message
    return replace(message, text=f"{message.text}\n\n{italic(' '.join(notes))}")
