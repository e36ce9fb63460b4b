"""Signing in to Superset: who waits for whom."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from shared.catalog.superset.client import Credential
from shared.catalog.superset.people import People
from shared.catalog.superset.sessions import Sessions
from shared.errors import ExecutorNotFound

USERS = {"ann": 2, "reader": 1}


class SlowSuperset:
    """Its list of users is answered when `go` is set; `asked` and `signing` tell that somebody waits for it."""

    def __init__(self) -> None:
        self.go, self.asked, self.signing = threading.Event(), threading.Event(), threading.Event()
        self.people = People(self, self.read)  # type: ignore[arg-type]
        self.sessions = Sessions(self, "key", {}, self.id_of)  # type: ignore[arg-type]

    def id_of(self, username: str) -> int:
        self.signing.set()
        return 1 if username == "reader" else self.people.named(username).id

    def read(self, ask: Any) -> Any:
        self.asked.set()
        assert self.go.wait(10)
        return ask(self.sessions.of("reader"))

    def find(self, path: str, who: Credential, column: str, value: str) -> Any:
        return {"id": USERS[value], "username": value} if value in USERS else None


def test_a_look_at_a_user_and_their_sign_in_do_not_wait_for_each_other():
    """One has the user in hand and needs the reader's session; the other signs the user in and needs their id."""
    superset = SlowSuperset()
    done: list[object] = []
    looks = threading.Thread(target=lambda: done.append(superset.people.named("ann")), daemon=True)
    looks.start()
    assert superset.asked.wait(10)
    signs = threading.Thread(target=lambda: done.append(superset.sessions.of("ann")), daemon=True)
    signs.start()
    assert superset.signing.wait(10)
    superset.go.set()
    for thread in (looks, signs):
        thread.join(10)
    assert len(done) == 2


def test_many_who_sign_in_one_user_share_a_session_until_it_is_forgotten():
    superset = SlowSuperset()
    superset.go.set()
    first = superset.sessions.of("ann")
    assert superset.sessions.of("ann") is first
    superset.sessions.forget("ann")
    assert superset.sessions.of("ann") is not first


def test_without_key_or_password_the_error_names_both():
    superset = SlowSuperset()
    sessions = Sessions(superset, "", {"bob": "x"}, superset.id_of)  # type: ignore[arg-type]
    with pytest.raises(ExecutorNotFound, match=r"SECRET_KEY.*PASSWORDS"):
        sessions.of("ann")
