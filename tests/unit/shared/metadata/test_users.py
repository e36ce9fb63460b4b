import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from shared.errors import InvalidInput, Unauthenticated
from shared.metadata.engine import open_engine, sessions, upgrade
from shared.metadata.models import Role, User
from shared.metadata.users import create_user, list_users, sign_in


@pytest.fixture
def factory(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'm.sqlite'}")
    upgrade(engine)
    made = sessions(engine)
    with made.begin() as session:
        session.add(Role(name="Analyst"))  # as a catalog makes it
    yield made
    engine.dispose()


def test_who_was_created_can_sign_in(factory):
    assert create_user(factory, "ada", password="engine no 1", name="Ada", roles=["Admin", "Analyst"]) == "created"
    principal = sign_in(factory, "ada", "engine no 1")
    assert (principal.username, principal.roles) == ("ada", frozenset({"Admin", "Analyst"}))
    assert list_users(factory) == [("ada", "Ada", "Admin,Analyst", "active", "password")]


def test_a_role_that_no_catalog_made_is_refused_with_those_that_there_are(factory):
    with pytest.raises(InvalidInput, match="no role 'admin'; known: Admin, Analyst"):
        create_user(factory, "ada", password="engine no 1", roles=["admin"])
    assert list_users(factory) == []


def test_all_refusals_read_alike(factory):
    create_user(factory, "ada", password="engine no 1")
    create_user(factory, "nopassword", password=None)
    create_user(factory, "gone", password="engine no 1")
    with factory.begin() as session:
        session.scalars(select(User).where(User.username == "gone")).one().active = False
    texts = set()
    attempts = [
        ("ada", "wrong"),
        ("ADA", "engine no 1"),
        ("nobody", "x"),
        ("", ""),
        ("nopassword", ""),
        ("gone", "engine no 1"),
    ]
    for username, password in attempts:
        with pytest.raises(Unauthenticated) as refused:
            sign_in(factory, username, password)
        texts.add(refused.value.message)
    assert len(texts) == 1


def test_signing_in_renews_a_weak_hash(factory):
    create_user(factory, "ada", password=None)
    weak = PasswordHasher(time_cost=1, memory_cost=1024).hash("engine no 1")
    with factory.begin() as session:
        session.scalars(select(User)).one().password_hash = weak
    sign_in(factory, "ada", "engine no 1")
    with factory() as session:
        assert session.scalars(select(User)).one().password_hash != weak
    assert sign_in(factory, "ada", "engine no 1").username == "ada"


def test_a_name_that_is_taken_is_changed_only_when_asked(factory):
    create_user(factory, "ada", password="engine no 1", name="Ada", roles=["Admin"])
    with pytest.raises(InvalidInput, match="--update"):
        create_user(factory, "ada", password="engine no 2")
    assert create_user(factory, "ada", password="engine no 2", update=True) == "changed"
    assert sign_in(factory, "ada", "engine no 2").roles == {"Admin"}
    assert create_user(factory, "ada", password=None, roles=["Analyst"], update=True) == "changed"
    assert sign_in(factory, "ada", "engine no 2").roles == {"Analyst"}


@pytest.mark.parametrize(
    ("username", "password"), [("", "x"), (" a", "x"), ("a\n", "x"), ("a" * 151, "x"), ("a", ""), ("a", "x" * 1025)]
)
def test_odd_names_and_passwords_are_refused(factory, username, password):
    with pytest.raises(InvalidInput):
        create_user(factory, username, password=password)


def test_a_user_never_shows_the_hash(factory):
    create_user(factory, "ada", password="engine no 1")
    with factory() as session:
        assert repr(session.scalars(select(User)).one()) == "User('ada')"
