"""The command line: autotrader run | replay | backtest | import | bars | model | verify | doctor | owner |
healthcheck."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

from core.domain.bars import BarSize
from core.errors import AutoTraderError
from core.settings.profiles import ProfileName

INTERRUPTED = 128 + 2  # as shells report SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 refused or failed (said on stderr), 2 wrong usage, 130 interrupted by Ctrl-C; an import
    that refused files ends with 3."""
    options = _parser().parse_args(arguments if arguments is not None else sys.argv[1:])
    try:
        return _dispatch(options, os.environ)
    except AutoTraderError as error:
        print(f"autotrader: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("autotrader: interrupted", file=sys.stderr)
        return INTERRUPTED


def _dispatch(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from bot import entry

    verbs = {
        "replay": entry.replay,
        "backtest": entry.backtest,
        "import": entry.take_files,
        "bars": entry.bars,
        "verify": entry.verify,
        "doctor": entry.doctor,
        "healthcheck": entry.healthcheck,
        "owner": entry.owner,
        "model": entry.model,
    }
    return verbs.get(options.command, entry.run)(options, environ)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="autotrader", description="A trading agent steered from a chat.")
    parser.add_argument("--version", action="version", version=f"autotrader {version('autotrader')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    # Behind the verbs: adding them would make the default verb None again.
    parser.set_defaults(command="run", speed=None, world=None, seed=None, local_phone=False, env_file=None)
    _add_run(commands)
    _add_replay(commands)
    _add_backtest(commands)
    _add_import(commands)
    _add_bars(commands)
    for name, words in (
        ("verify", "recompute the ledger's hash chain"),
        ("healthcheck", "exit 0 if the running engine is alive and not halted"),
    ):
        command = commands.add_parser(name, help=words, description=words)
        _add_environment(command)
    _add_doctor(commands)
    _add_owner(commands)
    _add_model(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser("run", help="start the orchestrator (the default)")
    _add_environment(run)
    run.add_argument("--speed", help="simulated market only: times real time (default 60)")
    run.add_argument("--world", help="auto, real or simulated prices (default auto)")
    run.add_argument("--seed", help="seed of the simulated market")
    run.add_argument("--local-phone", action="store_true", help="open the local phone although a token is set")


def _add_replay(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    replay = commands.add_parser("replay", help="play past bars through the whole system on a virtual clock")
    _add_environment(replay)
    replay.add_argument("--data", type=Path, help="folder of CSV files; without it, the simulated market")
    replay.add_argument("--from", dest="start", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    replay.add_argument("--to", dest="end", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    replay.add_argument("--bar", type=BarSize, choices=(BarSize.D1, BarSize.M5), default=BarSize.D1)
    replay.add_argument("--symbols", nargs="+", metavar="SYMBOL")
    replay.add_argument("--seed", help="seed of the simulated market")
    replay.add_argument("--every-tick", action="store_true", help="make also the runs that can change nothing")
    replay.add_argument("--contest", action="store_true", help="set recipes against one another each month, as live")
    replay.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the replay's ledger and files here")
    replay.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")


def _add_backtest(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    words = (
        "what the rules would have made of a past period: models trained as they would have been, figures at the end"
    )
    ends = "Finished trainings are kept: cut short, the same command goes on where it stopped. No returns are promised."
    command = commands.add_parser("backtest", help=words, description=f"{words}.", epilog=ends)
    _add_environment(command)
    data = "folder of bars (CSV, or Parquet where pyarrow is installed; default: what this installation has stored)"
    command.add_argument("--data", type=Path, help=data)
    command.add_argument("--simulated", action="store_true", help="the simulated market instead of real prices")
    command.add_argument("--from", dest="start", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    command.add_argument("--to", dest="end", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    command.add_argument("--bar", type=BarSize, choices=(BarSize.D1, BarSize.M5), default=BarSize.D1)
    command.add_argument("--symbols", nargs="+", metavar="SYMBOL")
    command.add_argument("--capital", metavar="USD", help="what the account begins with (default: START_CASH)")
    command.add_argument(
        "--retrain", default="91d", metavar="DAYS", help="how often models are trained: 28d, or live (default 91d)"
    )
    command.add_argument(
        "--unlock", default="never", metavar="DAYS", help="release a drawdown brake after so long: 30d (default never)"
    )
    named = "the values of this profile instead of yours; named more than once, the profiles side by side"
    command.add_argument("--profile", action="append", type=ProfileName, choices=tuple(ProfileName), help=named)
    late = "how much later than decided you place each order by hand (default 0)"
    command.add_argument("--delay", choices=("0", "1h", "1d"), default="0", help=late)
    command.add_argument("--jobs", type=int, metavar="N", help="processes that train (default: one a processor)")
    command.add_argument("--seed", help="seed of the simulated market")
    command.add_argument("--every-tick", action="store_true", help="make also the ticks that can change nothing")
    command.add_argument("--out", type=Path, metavar="FOLDER", help="write figures, trades and the tear sheet here")
    command.add_argument("--work", type=Path, metavar="FOLDER", help="where finished trainings are kept")


def _add_import(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    words = "take bars from files into the store: our own CSV, and what Yahoo, yfinance, Binance and Alpaca export"
    ends = (
        "Stop the engine first. Cut short, the same command goes on where it stopped. "
        "Exit codes: 0 done, 1 nothing could be done, 3 done but for files that were refused as a whole."
    )
    command = commands.add_parser("import", help=words, description=f"{words}.", epilog=ends)
    _add_environment(command)
    command.add_argument("place", type=Path, metavar="FOLDER", help="a folder of files of bars, or one of them")
    command.add_argument("--symbol", metavar="SYMBOL", help="what a single file holds, where its name does not say it")
    command.add_argument("--size", type=BarSize, choices=tuple(BarSize), help="size of its bars")
    command.add_argument("--zone", metavar="ZONE", help="zone of times that have none, such as UTC or America/New_York")
    command.add_argument("--dry-run", action="store_true", help="say what would be taken, write nothing")
    command.add_argument("--again", action="store_true", help="read also files that were taken before")


def _add_bars(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    words = "how complete the stored bars are: gaps, refusals, seams; also while the engine runs"
    bars = commands.add_parser("bars", help=words, description=words)
    _add_environment(bars)
    bars.add_argument("--symbols", nargs="+", metavar="SYMBOL", help="only these")
    bars.add_argument("--picture", type=Path, metavar="FILE", help="draw it as well, into this PNG")
    bars.add_argument("--gaps", action="store_true", help="list every gap, with what its source said")


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    words = "look for what is wrong and say what to do; with --restore, put a backup in the ledger's place"
    doctor = commands.add_parser("doctor", help=words, description=words)
    _add_environment(doctor)
    doctor.add_argument("--offline", action="store_true", help="look at this machine alone: ask no source of prices")
    doctor.add_argument("--restore", type=Path, metavar="FILE", help="a file from data/backups, or any other copy")


def _add_owner(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    words = "who controls the engine from Telegram: revoke him (the phone is lost), or show a new pairing code"
    owner = commands.add_parser("owner", help=words, description=f"{words}. Also while the engine runs.")
    _add_environment(owner)
    owner.add_argument("deed", choices=("revoke", "pair"))


def _add_model(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    words = "which models there are; go back to one that was in use, or let training go on after that"
    model = commands.add_parser("model", help=words, description=f"{words}. Also while the engine runs.")
    _add_environment(model)
    deeds = model.add_subparsers(dest="deed", metavar="DEED")
    model.set_defaults(deed="list")
    back = deeds.add_parser("back", help="put an earlier model in the place of the one in use")
    back.add_argument("version", metavar="VERSION", help="how its version begins, such as f0123")
    deeds.add_parser("on", help="training goes on")


def _add_environment(command: argparse.ArgumentParser) -> None:
    command.add_argument("--env-file", type=Path, help="settings file (default: .env in the current folder)")


if __name__ == "__main__":
    sys.exit(main())
