"""The schema: migrations make exactly the tables of the code, after a backup, and refuse what they do not know."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from core.clock import VirtualClock
from core.domain.accounts import World
from core.domain.skill import TrackedPrediction
from core.errors import Fatal
from core.storage import migrate as migrate_module
from core.storage import store as store_module
from core.storage.backup import DAYS, UPGRADES, BackupFailed, back_up, backups_of, outlived
from core.storage.chain import NO_HASH, link_hash, payload_of
from core.storage.engine import database_path, engine_for
from core.storage.migrate import HEAD, migrate
from core.storage.process import this_process
from core.storage.store import open_database
from core.storage.tables import APPEND_ONLY, METADATA
from tests.ledger_builders import START, a_decision, a_deposit, a_fill, a_model, a_signal, ledger, write

MIGRATIONS = Path(migrate_module.__file__).parent / "migrations"


def migrated_to(path: Path, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    engine = engine_for(path, durable=False)
    with engine.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def shape(path: Path) -> dict[str, Any]:
    """Columns, keys and indexes of every table, without their order."""
    with closing(sqlite3.connect(path)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]

        def pragma(kind: str, name: str) -> list[tuple[Any, ...]]:
            return [row[1:] for row in connection.execute(f"PRAGMA {kind}({name})")]

        return {
            name: {
                "columns": sorted(pragma("table_info", name)),
                "references": sorted(pragma("foreign_key_list", name), key=str),
                "indexes": sorted(
                    (row[1:], [name for _, name in pragma("index_info", row[0])]) for row in pragma("index_list", name)
                ),
                "rowid": connection.execute(
                    f"SELECT sql LIKE '%WITHOUT ROWID%' FROM sqlite_master WHERE name = '{name}'"
                ).fetchone(),
            }
            for name in names
            if name != "alembic_version"
        }


def test_the_migrated_schema_is_the_schema_of_the_tables(tmp_path: Path) -> None:
    migrate(tmp_path / "migrated.db", START)
    engine = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()
    created = create_engine(f"sqlite:///{tmp_path / 'created.db'}")
    METADATA.create_all(created)
    created.dispose()
    assert shape(tmp_path / "migrated.db") == shape(tmp_path / "created.db")


def test_the_file_that_other_tests_begin_with_is_the_one_the_migrations_make(tmp_path: Path) -> None:
    """tests/conftest.py: they open copies."""
    assert store_module.migrate is not migrate
    store_module.migrate(tmp_path / "copied.db", START)
    migrate(tmp_path / "migrated.db", START)
    assert (tmp_path / "copied.db").read_bytes() == (tmp_path / "migrated.db").read_bytes()


def test_the_program_knows_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_new_database_needs_no_backup_and_a_current_one_nothing_at_all(tmp_path: Path) -> None:
    path = tmp_path / "100% new" / "ledger.db"
    assert migrate(path, START) is None
    assert migrate(f"sqlite:///{path}", START) is None
    assert not (path.parent / "backups").exists()


def test_a_database_that_is_behind_is_backed_up_and_brought_forward(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    migrated_to(path, "0001")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO accounts VALUES ('manual', 'manual', 'real', 'USD')")
    saved = migrate(path, START)
    assert saved is not None
    assert saved.parent == tmp_path / "backups"
    with closing(sqlite3.connect(saved)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        assert connection.execute("SELECT id FROM accounts").fetchone() == ("manual",)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (HEAD,)
        assert connection.execute("SELECT id FROM accounts").fetchone() == ("manual",)


def test_what_was_judged_before_the_upgrade_is_not_judged_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    migrated_to(path, "0002")
    judged = replace(a_signal("BTC-USD"), bar_closed_at=START)
    payload = payload_of(a_decision(signals=(a_signal(), judged)), START)
    with closing(sqlite3.connect(path)) as connection, connection:
        link = NO_HASH, link_hash(NO_HASH, "decision", payload), payload
        connection.execute("INSERT INTO chain VALUES (1, 'decision', '', ?, ?, ?)", link)
        for place, symbol in enumerate(("SPY", "BTC-USD")):
            connection.execute("INSERT INTO last_signals VALUES ('simulated', ?, 1, ?)", (symbol, place))
    migrate(path, START)
    database = open_database(path)
    with database.reading() as uow:
        assert uow.judged_until("simulated") == {"BTC-USD": START}
        assert uow.last_signals() == {"SPY": a_signal(), "BTC-USD": judged}
    database.close()


def test_a_model_of_before_recipes_had_names_is_known_without_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    migrated_to(path, "0006")
    at, new = "2024-01-02T21:00:00.000000Z", a_model("new", recipe="scaled-asset")
    names = [column.name for column in METADATA.tables["models"].columns if column.name != "recipe"]
    row = (1, "old", at, at, "up", "[]", 1, 9, "old.joblib", "", "old.npz", "", 2, 0.5, 0.7, 0.7, 0.5, "champion")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"INSERT INTO models ({', '.join(names)}) VALUES ({', '.join('?' * len(row))})", row)
    migrate(path, START)
    database = open_database(path)
    with database.unit_of_work() as uow:
        assert [(each.version, each.recipe) for each in uow.models()] == [("old", "")]
        uow.add_model(new)
        assert uow.champion() == new
    database.close()


@pytest.mark.feature("S6")
def test_a_score_of_before_its_times_were_kept_still_counts(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    migrated_to(path, "0007")
    made = a_signal().prediction
    assert made is not None
    at = f"{made.bar_closed_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    with closing(sqlite3.connect(path)) as connection, connection:
        kept = ("SPY", at, "m1", made.event, made.probability)
        columns = "symbol, bar_closed_at, model, event, probability"
        connection.execute(f"INSERT INTO prediction_journal ({columns}) VALUES (?, ?, ?, ?, ?)", kept)
        columns = "symbol, bar_closed_at, model, hit"
        connection.execute(f"INSERT INTO prediction_scores ({columns}) VALUES ('SPY', ?, 'm1', 0)", (at,))
    migrate(path, START)
    database = open_database(path)
    with database.reading() as uow:
        assert uow.prediction_scores(made.bar_closed_at) == (0, 1)
        assert uow.tracked_predictions("") == [TrackedPrediction(made, made.probability <= 0.5)]
    database.close()


def test_a_database_in_use_is_not_migrated_under_its_process(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    database = open_database(path, clock=VirtualClock(START))
    other = this_process()
    database.lease(type(other)("another-host", "", "", 7, "")).acquire(START)
    database.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(Fatal, match="process 7 on host another-host"):
        migrate(path, START)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('9999')",
            "newer version",
        ),
        ("CREATE TABLE notes (text TEXT)", "something else"),
    ],
)
def test_a_database_that_is_not_ours_to_change_is_refused(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(content)
    before = path.read_bytes()
    with pytest.raises(Fatal, match=words):
        open_database(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_text("not a database, and long enough to be looked at" * 50)
    with pytest.raises(Fatal, match=r"cannot be read as a database (.|\n)*autotrader doctor --restore FILE"):
        open_database(path)


def test_another_kind_of_database_is_refused_with_an_example() -> None:
    with pytest.raises(Fatal, match="sqlite:///data"):
        database_path("postgresql://localhost/autotrader")
    assert database_path("sqlite:///data/a.db") == Path("data/a.db")
    assert database_path("sqlite:////var/a.db") == Path("/var/a.db")
    assert database_path(Path("data/a.db")) == Path("data/a.db")


def test_of_the_backups_the_last_days_the_last_weeks_and_those_before_upgrades_are_kept() -> None:
    """Two a day for sixty days, and one before each of five upgrades."""
    moments = [START + timedelta(hours=12 * n) for n in range(120)]
    routine = [Path(f"ledger-{at:%Y%m%dT%H%M%S%f}Z.db") for at in moments]
    upgrades = [Path(f"ledger-{at:%Y%m%dT%H%M%S%f}Z-before-0009.db") for at in moments[:50:10]]
    gone = outlived([*reversed(routine), *reversed(upgrades), Path("mine.db")])
    kept = [copy for copy in (*routine, *upgrades) if copy not in gone]
    assert Path("mine.db") not in gone
    assert [copy for copy in kept if copy in upgrades] == upgrades[-UPGRADES:]
    days = [moments[routine.index(copy)] for copy in kept if copy in routine]
    newest = moments[-1]
    assert days[-1] == newest
    daily = [at for at in days if newest - at < timedelta(days=DAYS)]
    assert len({at.date() for at in daily}) == DAYS
    assert days[-2:] == moments[-2:]
    weeks = {at.isocalendar()[:2] for at in days}
    assert len(weeks) == 4
    assert len(days) <= DAYS + 1 + 3


def test_backups_of_another_database_and_the_owners_own_copies_are_left_alone(tmp_path: Path) -> None:
    path, other = tmp_path / "ledger.db", tmp_path / "ledger-tryout.db"
    for each in (path, other):
        migrate(each, START)
    mine = tmp_path / "backups" / "mine.db"
    mine.parent.mkdir()
    mine.write_text("the owner's own copy")
    first = back_up(other, START)
    made = [back_up(path, START + timedelta(days=n)) for n in range(40)]
    assert backups_of(other) == [first]
    assert mine.exists() and made[-1].exists() and not made[10].exists()
    assert len(backups_of(path)) <= DAYS + 4


def test_a_backup_that_is_not_whole_is_thrown_away_and_no_older_one_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    migrate(path, START)
    made = [back_up(path, START + timedelta(days=n)) for n in range(DAYS)]
    with pytest.raises(BackupFailed, match=r"not whole .*a page is odd"):
        back_up(path, START + timedelta(days=99), check=lambda _copy: ["a page is odd"])
    assert sorted(path.parent.glob("backups/*")) == made


def test_without_room_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.db"
    migrate(path, START)
    monkeypatch.setattr("core.storage.backup.shutil.disk_usage", lambda _folder: SimpleNamespace(free=1_000_000))
    with pytest.raises(BackupFailed, match=r"no room for a backup of ledger.db: it needs .* MB, 1 MB are free"):
        back_up(path, START)
    assert list(path.parent.glob("backups/*")) == []


def test_a_backup_of_a_ledger_in_use_holds_what_is_committed(tmp_path: Path) -> None:
    database = ledger(tmp_path)
    with database.unit_of_work() as uow:
        uow.book(a_deposit(), recorded_at=START)
        uow.commit()
        uow.book(a_deposit(identity="c-2"), recorded_at=START)
        saved = database.back_up()
    database.close()
    copy = open_database(saved)
    with copy.reading() as uow:
        assert list(uow.entries()) == [a_deposit()]
    assert copy.verify() == []
    copy.close()


@pytest.mark.feature("X1")
@pytest.mark.parametrize("table", [table.name for table in APPEND_ONLY])
@pytest.mark.parametrize("change", ["UPDATE {} SET seq = seq + 100", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_change_the_record(tmp_path: Path, table: str, change: str) -> None:
    database = ledger(tmp_path)
    write(database, book_one_of_each)
    database.close()
    with closing(sqlite3.connect(database.path)) as connection:
        if table == "position_adjustments":
            connection.execute(
                "INSERT INTO position_adjustments VALUES (99, '', 'a', 'simulated', 'SPY', 'split', '1', '0', '', '')"
            )
        if table == "reversals":
            connection.execute("INSERT INTO reversals VALUES (99, '', '', 'a', 'simulated', 'fill', 'f', '', '')")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(change.format(table))


def book_one_of_each(uow: Any) -> None:
    uow.book(a_deposit(), recorded_at=START)
    uow.book(a_fill(), recorded_at=START)
    uow.record_decision(a_decision(), recorded_at=START)


def test_an_installation_keeps_its_identity_and_world_and_counts_restores(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    first = open_database(path, world=World.SIMULATED)
    made = first.installation()
    assert (made.epoch, made.world) == (1, World.SIMULATED)
    first.begin_epoch(2)
    assert first.installation() == made._replace(epoch=2)
    first.close()
    again = open_database(path)
    assert again.installation() == made._replace(epoch=2)
    again.close()
    with pytest.raises(Fatal, match="a database file of their own"):
        open_database(path, world=World.REAL)


def test_a_replay_may_choose_its_identity_and_others_differ(tmp_path: Path) -> None:
    chosen = open_database(tmp_path / "a.db", installation_id="replay")
    others = [open_database(tmp_path / f"{name}.db") for name in "bc"]
    identities = {database.installation().installation_id for database in (chosen, *others)}
    assert "replay" in identities
    assert len(identities) == 3
    for database in (chosen, *others):
        database.close()
