import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import StatementError

from shared.errors import DatabaseUnavailable, InvalidInput, VitrineError
from shared.metadata.engine import open_engine, sessions, upgrade, writing
from shared.metadata.models import Role, ViewLog


@pytest.fixture
def engine(tmp_path):
    made = open_engine(f"sqlite:///{tmp_path / 'new' / 'folder' / 'm.sqlite'}")
    upgrade(made)
    yield made
    made.dispose()


def test_sqlite_waits_keeps_references_and_reads_while_it_writes(engine):
    with engine.connect() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 5000}


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://h/d", "oracle://h"])
def test_other_databases_are_refused(url):
    with pytest.raises(InvalidInput) as refused:
        open_engine(url)
    assert refused.value.field == "metadata_url"


def test_times_come_back_aware_and_in_utc(engine):
    there = datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=2)))
    with sessions(engine).begin() as session:
        session.add(ViewLog(at=there, username="a", target_kind="chart", target_id="1", source="page"))
    with sessions(engine)() as session:
        (seen,) = session.scalars(select(ViewLog.at))
    assert (seen, seen.tzinfo) == (there, UTC)


def test_a_time_without_a_zone_is_refused(engine):
    with pytest.raises(StatementError, match="no time zone"), sessions(engine).begin() as session:
        session.add(ViewLog(at=datetime(2024, 1, 2), username="a", target_kind="c", target_id="1", source="p"))


def test_a_database_without_tables_says_what_to_run(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'm.sqlite'}")
    with pytest.raises(DatabaseUnavailable, match="vitrine db upgrade"), sessions(engine)() as session:
        session.scalars(select(Role)).all()
    engine.dispose()


def test_a_file_that_is_no_database_is_unavailable(tmp_path):
    (tmp_path / "m.sqlite").write_text("hello " * 1000)
    engine = open_engine(f"sqlite:///{tmp_path / 'm.sqlite'}")
    with pytest.raises(DatabaseUnavailable), sessions(engine)() as session:
        session.scalars(select(Role)).all()


def test_a_lock_that_is_never_given_back_is_unavailable(engine):
    with engine.connect() as connection:
        connection.execute(text("PRAGMA busy_timeout = 50"))
        connection.commit()
        other = sqlite3.connect(engine.url.database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable, match="locked"):
            connection.execute(text("INSERT INTO roles (name) VALUES ('x')"))
        other.close()


def test_a_broken_statement_is_no_outage(engine):
    with pytest.raises(Exception, match="syntax") as raised, engine.connect() as connection:
        connection.execute(text("SELEKT 1"))
    assert not isinstance(raised.value, DatabaseUnavailable)


def test_writers_that_read_first_wait_for_each_other(engine):
    factory, failures = sessions(engine), []

    def add(name):
        try:
            for number in range(5):
                with writing(factory) as session:
                    session.scalars(select(Role)).all()
                    session.add(Role(name=f"{name}{number}"))
        except VitrineError as error:
            failures.append(error)

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with factory() as session:
        assert len(session.scalars(select(Role)).all()) == 20
