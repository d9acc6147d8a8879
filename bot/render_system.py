"""Messages about the engine itself: welcome, start, model, health, errors, strangers, mode. Pure."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from bot import numbers
from bot.markup import bold, code, esc, italic, line, paragraphs, table
from bot.message import Keyboard, Message
from bot.render_marks import account_name, headline
from bot.render_reasons import sentence, words
from core.domain.accounts import AccountKind, Mode
from core.domain.events import (
    EngineStarted,
    ErrorRaised,
    HealthChanged,
    ModeChanged,
    ModelTrained,
    StrangerSpoke,
    Welcome,
)

SHORT_ABSENCE = timedelta(minutes=1)
MODE_WORDS = {
    Mode.AUTO: "I trade by myself and tell you afterwards",
    Mode.CONFIRM: "I ask before every entry",
    Mode.MANUAL: "I send instructions, you execute them at your broker",
    Mode.OBSERVE: "I watch and open nothing new",
}

_SAFE = "Cards marked MANUAL are for practice. Nothing here can cost you a cent."


def welcome(event: Welcome, keyboard: Keyboard) -> Message:
    """Said once: who I am, what happens next, what is simulated, how to go real."""
    hello = headline("👋", "Hi, I am AutoTrader", event.badges)
    job = (
        f"I watch {_listed(event.symbols)}. When forecast, trend, RSI and MACD agree, I buy, with a stop and a target. "
        f"Mode {bold(event.mode.value)}: {MODE_WORDS[event.mode]}."
    )
    more = "/help shows all I understand."
    return Message(
        paragraphs(hello, job, _next(event), _simulated(event), _left_behind(event), _how_real(event), more), keyboard
    )


def _listed(symbols: tuple[str, ...]) -> str:
    return ", ".join(line(symbol, 20) for symbol in symbols[:12]) or "nothing yet"


def _next(event: Welcome) -> str:
    """What the newcomer will see, in this order; only a simulated market can be relied on to hurry."""
    when = "In your first two minutes" if event.simulated_prices else "When a market is open and I find a chance"
    trade = ["📈 a buy signal, and why", "🟢 the trade, with its stop and target"]
    by_itself = trade if (event.simulated_broker or event.broker) and event.mode is Mode.AUTO else []
    # At Alpaca the manual account begins without cash: nothing is proposed for it.
    card = [] if event.broker and not event.simulated_broker else ["✋ a card for you to tap"]
    steps = ["🧠 how good my forecast is", *by_itself, *card]
    return "\n".join([bold(when), *steps])


def _simulated(event: Welcome) -> str:
    held = numbers.money(event.equity)
    if event.simulated_prices:
        pace = f" ({event.speed:g} times as fast)" if event.speed != 1 else ""
        return f"{bold('Simulated here')}\nPrices{pace}, broker and the {held}. {_SAFE}"
    if event.simulated_broker:
        return (
            f"{bold('Simulated here')}\nThe broker and the {held}; messages about them say PAPER. The prices are real, "
            f"from Yahoo. {_SAFE}"
        )
    if event.broker == AccountKind.ALPACA_PAPER.value:
        return (
            f"{bold('Paper money here')}\nThe prices are real; the orders go to your paper account at Alpaca, with "
            f"{held} in cash. Messages about it say PAPER: nothing there can cost you a cent."
        )
    if event.broker == AccountKind.ALPACA_LIVE.value:
        return (
            f"{bold('Real money here')}\nThe prices are real, and so is the money of your live account at Alpaca. "
            "Nothing is sent there before you have allowed it: /realmoney. Messages about it say LIVE."
        )
    return (
        f"{bold('Nothing is simulated here')}\nThe prices are real, from Yahoo, and the orders are yours to place. "
        f"Tell me what you may spend, for example {code('/cash 5000')}; until then I open nothing."
    )


def _how_real(event: Welcome) -> str:
    if not (event.simulated_prices or event.simulated_broker):
        return ""
    return (
        f"{bold('To go real')}\n"
        f"1. Get a token from @BotFather, put it into {code('.env')} as {code('TELEGRAM_BOT_TOKEN')}.\n"
        "2. Start me again, and send your bot the code that I print.\n"
        "3. Prices then come from Yahoo, orders as cards for your own broker. With keys of a paper account at Alpaca I "
        "place them there by myself."
    )


def _left_behind(event: Welcome) -> str:
    if not event.left_behind:
        return ""
    return (
        f"Your try-out stays in {code(line(event.left_behind, 60))}; from now on I keep a new ledger, for what is real."
    )


def started(event: EngineStarted, zone: ZoneInfo) -> Message:
    title = headline("▶️", "AutoTrader is running", event.badges)
    absence = ""
    if event.down_since is not None and event.at - event.down_since >= SHORT_ABSENCE:
        absence = (
            f"I was down from {numbers.moment(event.down_since, zone)} to {numbers.moment(event.at, zone)} "
            f"({numbers.span(event.at - event.down_since)}). Nobody watched the positions in that time."
        )
    rows = (
        ("Mode", f"{event.mode.value}{_until_back(event)}{', paused' if event.paused else ''}"),
        ("Positions", str(event.open_positions)),
        ("Waiting", numbers.count(event.pending_instructions, "instruction")),
    )
    return Message(paragraphs(title, absence, table(rows)))


def _until_back(event: EngineStarted) -> str:
    return f" until {account_name(event.held_by)} is back" if event.held_by else ""


def model(event: ModelTrained, zone: ZoneInfo) -> Message:
    """What was learned and how well it predicts bars it has not seen, beside always saying the base rate."""
    title = "New model in use" if event.promoted else "New model trained, not used"
    rows = (
        ("Version", event.version),
        ("Learned", f"{event.rows:,} rows"),
        ("Until", numbers.moment(event.last_bar_at, zone)),
        ("Checked", f"{event.validation_rows:,} unseen rows"),
        ("AUC", f"{numbers.measure(event.auc)} (0.5 is luck)"),
        ("Log loss", f"{numbers.measure(event.log_loss, 4)} (less is better)"),
        ("Guessing", f"{numbers.measure(event.baseline_log_loss, 4)} log loss"),
        ("Base rate", f"{numbers.percent(event.base_rate)} came true"),
    )
    verdict = "better than guessing" if event.log_loss < event.baseline_log_loss else "no better than guessing"
    meaning = f"It says how likely an asset is to {line(event.event)}. On rows it had not seen it was {verdict}."
    reason = sentence(event.reason, zone) if event.reason.strip() else ""
    return Message(paragraphs(f"🧠 {bold(title)}", meaning, table(rows), reason))


def health(event: HealthChanged, zone: ZoneInfo) -> Message:
    icon = {"RUNNING": "💚", "DEGRADED": "🟠", "HALTED": "🛑"}.get(event.state, "•")
    again = f"Next try {numbers.moment(event.next_try_at, zone)}." if event.next_try_at else ""
    title = f"{icon} {bold(f'{line(event.component, 40)}: {line(event.state, 40)}')}"
    return Message(paragraphs(title, esc(words(event.reason, zone)), again))


def error(event: ErrorRaised) -> Message:
    return Message(
        paragraphs(
            f"⚠️ {bold(f'Error: {line(event.component, 40)}')}",
            esc(event.summary),
            f"{italic('What this means:')} {esc(event.consequence)}" if event.consequence.strip() else "",
        )
    )


def stranger(event: StrangerSpoke) -> Message:
    title = bold("Somebody else wrote to me")
    # As code: a command in a foreign text must not become something to tap.
    said = f"User {code(str(event.user_id))}: {code(line(event.summary))}"
    return Message(paragraphs(f"🚪 {title}", said, "I refused and told them nothing. I ignore them from now on."))


def mode(event: ModeChanged, zone: ZoneInfo) -> Message:
    """Whether entries are made and in which mode. One event tells of a pause, a resume and a change of mode."""
    by = f"By {_who(event.by)}." if event.by.strip() else ""
    meaning = f"{MODE_WORDS[event.mode]}."
    if event.paused:
        until = f" until {numbers.moment(event.until, zone)}" if event.until else " until you send /resume"
        text = f"No new entries; open positions stay guarded. Mode {event.mode.value}. {by}"
        return Message(paragraphs(f"⏸ {bold(f'Paused{until}')}", text.strip()))
    if event.mode is Mode.OBSERVE:
        return Message(paragraphs(f"👀 {bold('Mode observe')}", f"{meaning} {by}".strip()))
    if event.held_by:
        name = line(account_name(event.held_by), 40)
        text = f"Until {name} is back, mode manual holds in its place. {by}".strip()
        return Message(paragraphs(f"🎛 {bold(f'Mode {event.mode.value}, once {name} is back')}", text))
    return Message(paragraphs(f"▶️ {bold(f'Active in mode {event.mode.value}')}", f"{meaning} {by}".strip()))


def _who(by: str) -> str:
    return "you" if by == "owner" else line(by, 60)
