import pytest
from sqlalchemy import select, text

from shared.errors import SecretUnreadable
from shared.metadata.engine import open_engine, open_metadata, sessions, upgrade
from shared.metadata.models import Database
from shared.metadata.secrets import PREFIX, Keyring, reencrypt
from shared.settings import Settings

OLD, NEW, OTHER = (f"{letter}4f1c0a9be27d58366b7c9d0e1f2a3b4" for letter in "abc")
URL = "postgresql://ann:hunter2@db/é"


@pytest.fixture
def engine(tmp_path):
    """`engine(secret_key, *database_keys)`: one metadata database, opened with other settings."""
    opened = []

    def open_with(secret, *keys):
        made = open_metadata(Settings(secret_key=secret, database_keys=",".join(keys), state_dir=tmp_path))
        opened.append(made)
        return made

    upgrade(open_with(OLD))
    yield open_with
    for one in opened:
        one.dispose()


def add(engine):
    with sessions(engine).begin() as session:
        session.add(Database(name="pg", url=URL))


def stored(engine):
    with engine.connect() as connection:
        return connection.execute(text("SELECT url FROM databases")).scalar_one()


def read(engine):
    with sessions(engine)() as session:
        return session.scalars(select(Database.url)).one()


def test_a_url_is_encrypted_at_rest_and_read_back(engine):
    add(engine(OLD))
    assert stored(engine(OLD)).startswith(PREFIX)
    assert "hunter2" not in stored(engine(OLD))
    assert read(engine(OLD)) == URL


def test_what_was_written_before_is_read_and_encrypted_on_command(engine):
    with engine(OLD).begin() as connection:
        connection.execute(text("INSERT INTO databases (name, url, data_version) VALUES ('pg', :url, 1)"), {"url": URL})
    assert read(engine(OLD)) == URL
    assert (reencrypt(engine(OLD)), reencrypt(engine(OLD))) == (1, 0)
    assert stored(engine(OLD)).startswith(PREFIX)
    assert read(engine(OLD)) == URL


def test_keys_are_rotated_without_a_moment_in_which_nothing_is_read(engine):
    add(engine(OLD))
    assert read(engine(NEW, OTHER, OLD)) == URL
    assert reencrypt(engine(NEW, OTHER, OLD)) == 1
    assert read(engine(NEW, OTHER)) == URL
    with pytest.raises(SecretUnreadable):
        read(engine(OLD))


def test_a_key_that_does_not_fit_is_one_line_without_the_secret(engine):
    add(engine(OLD))
    for call in (read, reencrypt):
        with pytest.raises(SecretUnreadable, match="VITRINE_DATABASE_KEYS") as unreadable:
            call(engine(NEW))
        assert "\n" not in unreadable.value.message
        assert NEW not in unreadable.value.message
    assert read(engine(OLD)) == URL


def test_without_keys_nothing_is_written_in_plain(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'metadata.sqlite'}")
    upgrade(engine)
    with pytest.raises(Exception, match="open_metadata"):
        add(engine)
    engine.dispose()


def test_a_damaged_secret_is_refused():
    keyring = Keyring([OLD])
    with pytest.raises(SecretUnreadable):
        keyring.decrypt(keyring.encrypt(URL)[:-4])
