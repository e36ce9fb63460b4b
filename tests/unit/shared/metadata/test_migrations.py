import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.command import downgrade
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from shared.errors import DatabaseUnavailable, VitrineError
from shared.metadata.engine import check, open_engine, upgrade
from shared.metadata.migrations import config, head
from shared.metadata.models import Base


@pytest.fixture
def engine(tmp_path):
    made = open_engine(f"sqlite:///{tmp_path / 'm.sqlite'}")
    yield made
    made.dispose()


def test_the_models_are_what_the_migrations_make(engine):
    upgrade(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_what_they_made_they_can_take_back(engine):
    upgrade(engine)
    with engine.begin() as connection:
        downgrade(config(connection), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    assert upgrade(engine) == head()


def test_check_names_the_revision(engine):
    upgrade(engine)
    assert check(engine) == f"revision {head()}"


def test_check_says_what_to_run(engine):
    with pytest.raises(DatabaseUnavailable, match="vitrine db upgrade"):
        check(engine)


def test_a_newer_database_is_not_touched(engine):
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseUnavailable, match="newer"):
        check(engine)


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
    assert check(engine) == f"revision {head()}"


def test_migrations_run_through_our_upgrade_only():
    with pytest.raises(RuntimeError, match="vitrine db upgrade"):
        downgrade(config(), "base")
