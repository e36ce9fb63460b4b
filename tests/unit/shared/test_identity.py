"""Executors in order, and tokens that open one thing only."""

from __future__ import annotations

import time

import jwt
import pytest

from shared.errors import ExecutorNotFound, InvalidInput, Unauthenticated
from shared.identity import ALGORITHM, Audience, Ownership, Principal, Tokens, parse_executors, resolve_executor

SECRET = "a-secret-for-tests-0123456789-abcdef"
OWNED = Ownership(owners=("olga", "mia"), created_by="carl", changed_by="mia")
ADA = Principal("ada")


@pytest.mark.parametrize(
    ("rules", "ownership", "current", "expected"),
    [
        ("FIXED:bot", OWNED, ADA, "bot"),
        ("CURRENT_USER", OWNED, ADA, "ada"),
        ("CURRENT_USER,OWNER", OWNED, None, "mia"),
        ("CREATOR", OWNED, ADA, "carl"),
        ("CREATOR_OWNER,MODIFIER_OWNER", OWNED, ADA, "mia"),
        ("CREATOR_OWNER", Ownership(("carl",), "carl"), ADA, "carl"),
        ("MODIFIER", OWNED, ADA, "mia"),
        ("OWNER", Ownership(("olga",), "carl", "mia"), ADA, "olga"),  # the single owner
        ("OWNER", Ownership(("olga", "carl"), "carl", "mia"), ADA, "carl"),  # the creator, if an owner
        ("OWNER", Ownership(("olga", "zoe"), "carl", "mia"), ADA, "olga"),  # the first owner
    ],
)
def test_the_first_executor_that_resolves_wins(
    rules: str, ownership: Ownership, current: Principal | None, expected: str
) -> None:
    assert resolve_executor(parse_executors(rules), ownership, current) == expected


def test_no_executor_that_resolves_is_an_error_that_names_what_was_tried() -> None:
    with pytest.raises(ExecutorNotFound, match="CREATOR_OWNER, OWNER"):
        resolve_executor(parse_executors("CREATOR_OWNER,OWNER"), Ownership(created_by="carl"), ADA)


@pytest.mark.parametrize("text", ["NOBODY", "FIXED", "FIXED:", "OWNER:x", "", " , "])
def test_an_unknown_executor_is_refused_with_the_allowed_words(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"FIXED:<user name>|at least one"):
        parse_executors(text)


def test_a_token_opens_only_its_own_audience() -> None:
    tokens = Tokens(SECRET)
    token = tokens.issue("ada", Audience.API, 60)
    assert tokens.check(token, Audience.API)[0] == "ada"
    with pytest.raises(Unauthenticated):
        tokens.check(token, Audience.PAGE)


@pytest.mark.parametrize(
    "change", [{"exp": int(time.time()) - 1}, {"iss": "other"}, {"aud": "other"}, {"exp": None}, {"sub": None}]
)
def test_a_token_without_its_claims_does_not_hold(change: dict[str, object]) -> None:
    tokens = Tokens(SECRET)
    key = tokens._keys[Audience.API]
    claims = {
        "sub": "ada",
        "iss": "vitrine",
        "aud": Audience.API.value,
        "iat": int(time.time()),
        "exp": int(time.time()) + 60,
        **change,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    with pytest.raises(Unauthenticated):
        tokens.check(jwt.encode(claims, key, ALGORITHM), Audience.API)


def test_an_unsigned_token_and_another_algorithm_do_not_hold() -> None:
    tokens = Tokens(SECRET)
    claims = jwt.decode(tokens.issue("ada", Audience.API, 60), options={"verify_signature": False})
    for forged in (
        jwt.encode(claims, "", "none"),
        jwt.encode(claims, tokens._keys[Audience.API] * 2, "HS512"),
        "rubbish",
        "",
    ):
        with pytest.raises(Unauthenticated):
            tokens.check(forged, Audience.API)
