import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select, text

from shared.errors import DatabaseUnavailable, VitrineError
from shared.metadata.engine import check, open_engine, sessions, upgrade
from shared.metadata.migrations import config, head
from shared.metadata.models import Base, Role, ViewLog
from shared.metadata.users import create_user, sign_in


@pytest.fixture
def engine(postgresql):
    made = open_engine(postgresql.url)
    yield made
    made.dispose()


def test_the_models_are_what_the_migrations_make(engine):
    upgrade(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    assert check(engine) == f"revision {head()}"


def test_what_they_made_they_can_take_back(engine):
    from alembic.command import downgrade

    upgrade(engine)
    with engine.begin() as connection:
        downgrade(config(connection), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]


def test_several_upgrades_at_once_are_one(engine):
    failures = []

    def run():
        try:
            upgrade(engine)
        except VitrineError as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_check_says_what_to_run(engine):
    with pytest.raises(DatabaseUnavailable, match="vitrine db upgrade"):
        check(engine)
    with pytest.raises(DatabaseUnavailable, match="vitrine db upgrade"), sessions(engine)() as session:
        session.scalars(select(Role)).all()


def test_times_come_back_aware_and_in_utc(engine):
    upgrade(engine)
    there = datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=2)))
    with sessions(engine).begin() as session:
        session.add(ViewLog(at=there, username="a", target_kind="chart", target_id="1", source="page"))
    with sessions(engine)() as session:
        (seen,) = session.scalars(select(ViewLog.at))
    assert (seen, seen.tzinfo) == (there, UTC)


def test_people_sign_in(engine):
    upgrade(engine)
    create_user(sessions(engine), "ada", password="engine no 1", roles=["Admin"])
    assert sign_in(sessions(engine), "ada", "engine no 1").is_admin


def test_a_server_that_is_down_is_unavailable_soon_and_comes_back(own_postgresql):
    engine = open_engine(own_postgresql.create_database().url)
    upgrade(engine)
    own_postgresql.kill9()
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable), sessions(engine)() as session:
            session.scalars(select(Role)).all()
    own_postgresql.start()
    with sessions(engine)() as session:
        assert session.scalars(select(Role)).all() == []
    engine.dispose()


def test_a_broken_statement_is_no_outage(engine):
    with pytest.raises(Exception, match="syntax") as raised, engine.connect() as connection:
        connection.execute(text("SELEKT 1"))
    assert not isinstance(raised.value, DatabaseUnavailable)


def test_a_process_that_was_stopped_inside_a_transaction_does_not_keep_its_locks(engine, postgresql):
    upgrade(engine)
    create_user(sessions(engine), "ada", password="engine no 1", roles=["Admin"])
    stopped = open_engine(postgresql.url, idle_s=0.5)
    rename = text("UPDATE roles SET name = 'x' WHERE name = 'Admin'")
    with sessions(stopped)() as session:
        session.execute(rename)
        with engine.begin() as other:  # would wait for ever
            assert other.execute(rename).rowcount == 1
        with pytest.raises(DatabaseUnavailable):
            session.commit()
    stopped.dispose()
