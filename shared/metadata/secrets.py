"""Secrets at rest: columns whose text is encrypted in the metadata database.

The keys come from the settings and belong to the engine (`open_metadata`). The first one encrypts, each may decrypt, so
that a new key can be put before an old one and the old one removed once everything was written anew (`reencrypt`).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Dialect, Engine, Text, text
from sqlalchemy.types import TypeDecorator

from shared.errors import SecretUnreadable

PREFIX = "fernet:"  # what lacks it was written before, and is read as it stands
_PURPOSE = b"vitrine: secrets of the metadata database"
_ATTRIBUTE = "vitrine_keyring"  # of an engine's dialect, which SQLAlchemy hands to the column type


class Keyring:
    """`secrets`: texts of any form, the one that encrypts first."""

    def __init__(self, secrets: Sequence[str]) -> None:
        fernets = [Fernet(_key(secret)) for secret in secrets]
        self._first = fernets[0]
        self._all = MultiFernet(fernets)

    def encrypt(self, plain: str) -> str:
        return PREFIX + self._first.encrypt(plain.encode()).decode()

    def decrypt(self, stored: str) -> str:
        """Raises SecretUnreadable."""
        if not stored.startswith(PREFIX):
            return stored
        try:
            return self._all.decrypt(stored.removeprefix(PREFIX)).decode()
        except InvalidToken:
            raise _unreadable() from None

    def is_current(self, stored: str) -> bool:
        """Whether it is encrypted, with the first key."""
        try:
            return stored.startswith(PREFIX) and bool(self._first.decrypt(stored.removeprefix(PREFIX)))
        except InvalidToken:
            return False

    def belong_to(self, engine: Engine) -> None:
        setattr(engine.dialect, _ATTRIBUTE, self)


class EncryptedText(TypeDecorator[str]):
    """Text that only holders of a key can read. It cannot be compared in SQL: each encryption differs."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        keyring = _keyring(dialect)
        if value is None or keyring is None:
            raise RuntimeError("a secret is written through an engine of open_metadata only")
        return keyring.encrypt(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or not value.startswith(PREFIX):
            return value
        keyring = _keyring(dialect)
        if keyring is None:
            raise RuntimeError("a secret is read through an engine of open_metadata only")
        return keyring.decrypt(value)


def reencrypt(engine: Engine) -> int:
    """Writes the URL of every database anew that is not encrypted with the first key; answers how many.

    Raises SecretUnreadable, and then nothing is changed.
    """
    keyring = _keyring(engine.dialect)
    assert keyring is not None  # it comes from open_metadata
    with engine.connect().execution_options(sqlite_immediate=True) as connection, connection.begin():
        rows = connection.execute(text("SELECT id, url FROM databases ORDER BY id")).all()
        outdated = [(row.id, keyring.decrypt(row.url)) for row in rows if not keyring.is_current(row.url)]
        for id_, url in outdated:
            values = {"id": id_, "url": keyring.encrypt(url)}
            connection.execute(text("UPDATE databases SET url = :url WHERE id = :id"), values)
    return len(outdated)


def _keyring(dialect: Dialect) -> Keyring | None:
    found: Keyring | None = getattr(dialect, _ATTRIBUTE, None)
    return found


def _key(secret: str) -> bytes:
    return base64.urlsafe_b64encode(HKDF(SHA256(), 32, None, _PURPOSE).derive(secret.encode()))


def _unreadable() -> SecretUnreadable:
    return SecretUnreadable(
        "The URL of a database cannot be decrypted: neither VITRINE_DATABASE_KEYS nor VITRINE_SECRET_KEY holds the key "
        "that it was written with."
    )
