"""What was read a moment ago is kept for a while, and asked for once, however many ask."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared import kept
from shared.kept import Kept


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_value_is_kept_until_its_time_is_over_or_it_is_forgotten():
    clock, made = Clock(), iter("abc")
    values: Kept[str, str] = Kept(5, clock)
    assert [values.get("x", lambda: next(made)) for _ in range(2)] == ["a", "a"]
    clock.now = 5.1
    assert values.get("x", lambda: next(made)) == "b"
    values.forget("x")
    assert values.get("x", lambda: next(made)) == "c"


def test_many_who_ask_at_once_share_one_call():
    values: Kept[str, int] = Kept(5)
    started, go, calls = threading.Event(), threading.Event(), []

    def make():
        calls.append(1)
        started.set()
        go.wait(10)
        return 7

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(values.get, "x", make) for _ in range(8)]
        started.wait(10)
        go.set()
        assert [one.result(10) for one in asked] == [7] * 8
    assert len(calls) == 1


def test_a_failure_is_not_kept():
    values: Kept[str, int] = Kept(5)
    with pytest.raises(ZeroDivisionError):
        values.get("x", lambda: 1 // 0)
    assert values.get("x", lambda: 1) == 1


def test_the_oldest_values_give_way(monkeypatch):
    monkeypatch.setattr(kept, "MAX_ENTRIES", 2)
    values: Kept[int, int] = Kept(5)
    for number in range(3):
        values.get(number, lambda: 0)
    assert len(values._entries) == 2
    assert values.get(0, lambda: 9) == 9
