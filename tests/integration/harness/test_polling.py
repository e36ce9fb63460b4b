"""Waiting for conditions, and watching that one holds."""

import pytest

from tests.harness import hold_true, wait_until, wait_until_async


def test_waiting_returns_the_value_and_ignores_the_named_errors() -> None:
    outcomes = iter([ConnectionError("not yet"), 0, "ready"])

    def next_outcome() -> object:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert wait_until(next_outcome, 5, "an outcome", ignoring=(ConnectionError,)) == "ready"


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.1 s: a miracle"):
        wait_until(lambda: False, 0.1, "a miracle")


async def test_waiting_asynchronously_takes_coroutines() -> None:
    async def answer() -> int:
        return 42

    assert await wait_until_async(answer, 1, "an answer") == 42
    with pytest.raises(AssertionError, match="a miracle"):
        await wait_until_async(lambda: None, 0.1, "a miracle")


async def test_what_must_not_happen_is_watched_for() -> None:
    await hold_true(lambda: True, 0.1, "peace")
    left = iter([True, False])
    with pytest.raises(AssertionError, match="peace"):
        await hold_true(lambda: next(left), 5, "peace")
