import time

import pytest
from argon2 import PasswordHasher

from shared.metadata.passwords import MAX_PASSWORD_CHARACTERS, hash_password, needs_rehash, verify_password


def test_a_password_is_known_again_and_another_is_not():
    kept = hash_password("correct horse")
    assert kept.startswith("$argon2id$")
    assert verify_password(kept, "correct horse")
    assert not verify_password(kept, "correct horse ")
    assert hash_password("correct horse") != kept


@pytest.mark.parametrize("kept", [None, "", "nonsense", "$argon2id$v=19$m=1"])
def test_without_a_hash_no_password_holds(kept):
    assert not verify_password(kept, "x")
    assert not verify_password(kept, "")


def test_an_absurd_password_is_refused_at_once():
    with pytest.raises(ValueError, match="1 to"):
        hash_password("x" * (MAX_PASSWORD_CHARACTERS + 1))
    with pytest.raises(ValueError, match="1 to"):
        hash_password("")
    kept = hash_password("x" * MAX_PASSWORD_CHARACTERS)
    assert verify_password(kept, "x" * MAX_PASSWORD_CHARACTERS)
    assert not verify_password(kept, "x" * 10_000_000)


def test_a_weaker_hash_wants_to_be_renewed():
    assert needs_rehash(PasswordHasher(time_cost=1, memory_cost=1024).hash("x"))
    assert not needs_rehash(hash_password("x"))


def test_an_unknown_user_costs_as_much_as_a_wrong_password():
    kept = hash_password("x")
    verify_password(None, "x")

    def cost_s(hashed):
        began = time.thread_time()
        for _ in range(5):
            verify_password(hashed, "wrong")
        return time.thread_time() - began

    assert cost_s(None) > cost_s(kept) / 3
