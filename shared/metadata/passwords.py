"""Password hashes (Argon2id), by argon2-cffi with its recommended parameters."""

from __future__ import annotations

import functools
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MAX_PASSWORD_CHARACTERS = 1024  # hashing more only costs us time
_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """The hash to keep. Raises ValueError for an empty or an absurdly long password."""
    if not 1 <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise ValueError(f"a password must have 1 to {MAX_PASSWORD_CHARACTERS} characters")
    return _hasher.hash(password)


def verify_password(kept: str | None, password: str) -> bool:
    """Whether the password is the one that was hashed. Without a hash it answers False after the same work."""
    candidate = password[: MAX_PASSWORD_CHARACTERS + 1]
    try:
        _hasher.verify(kept or _nobodys_hash(), candidate)
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None and len(password) <= MAX_PASSWORD_CHARACTERS


def needs_rehash(kept: str) -> bool:
    """Whether a hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(kept)


@functools.cache
def _nobodys_hash() -> str:
    return _hasher.hash(secrets.token_hex(16))
