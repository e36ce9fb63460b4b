"""Waiting for a condition. Nothing else in the tests sleeps."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
Message = str | Callable[[], str]
Errors = tuple[type[Exception], ...]


def wait_until(
    condition: Callable[[], T | None],
    timeout_s: float,
    message: Message,
    *,
    ignoring: Errors = (),
    interval_s: float = 0.05,
) -> T:
    """The first true value of `condition`; AssertionError with `message` when none came within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while True:
        last_error: Exception | None = None
        try:
            if value := condition():
                return value
        except ignoring as error:
            last_error = error
        if time.monotonic() >= deadline:
            raise _timed_out(timeout_s, message, last_error)
        time.sleep(interval_s)


async def wait_until_async(
    condition: Callable[[], Any],
    timeout_s: float,
    message: Message,
    *,
    ignoring: Errors = (),
    interval_s: float = 0.05,
) -> Any:
    """`wait_until` that leaves the event loop free; `condition` may be a coroutine function."""
    deadline = time.monotonic() + timeout_s
    while True:
        last_error: Exception | None = None
        try:
            outcome = condition()
            value = await outcome if inspect.isawaitable(outcome) else outcome
            if value:
                return value
        except ignoring as error:
            last_error = error
        if time.monotonic() >= deadline:
            raise _timed_out(timeout_s, message, last_error)
        await asyncio.sleep(interval_s)


async def hold_true(
    condition: Callable[[], object], duration_s: float, message: Message, *, interval_s: float = 0.01
) -> None:
    """Watches that `condition` stays true for `duration_s`: for what must not happen. Leaves the event loop free."""
    deadline = time.monotonic() + duration_s
    while time.monotonic() < deadline:
        if not condition():
            raise AssertionError(_text(message))
        await asyncio.sleep(interval_s)


def _timed_out(timeout_s: float, message: Message, last_error: Exception | None) -> AssertionError:
    reason = f" (last: {last_error!r})" if last_error else ""
    return AssertionError(f"not within {timeout_s:g} s: {_text(message)}{reason}")


def _text(message: Message) -> str:
    return message if isinstance(message, str) else message()
