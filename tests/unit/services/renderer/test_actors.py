"""A retry that cannot be published is a dead letter, never lost."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import dramatiq
import pytest
from dramatiq.errors import ConnectionClosed, Retry
from dramatiq.middleware import TimeLimit

from services.renderer.actors import SafeRetries, register
from shared.consuming import FAILURE_OPTION
from shared.errors import Cancelled, NotReady
from shared.queue import ACTOR_NAMES, Embedded
from shared.settings import Settings


class BadBroker(Embedded):
    """Takes no message."""

    def enqueue(self, message: Any, *, delay: int | None = None) -> Any:
        raise ConnectionClosed(OSError("blocked"))


def test_a_retry_that_the_broker_does_not_take_fails_its_message_with_the_reason() -> None:
    broker = BadBroker([SafeRetries()])
    actor = dramatiq.actor(actor_name="a", broker=broker)(lambda: None)
    proxy = dramatiq.broker.MessageProxy(actor.message())
    with pytest.raises(ConnectionClosed):
        broker.middleware[0].after_process_message(broker, proxy, exception=Retry("later", delay=500))
    assert proxy.failed
    assert proxy.options[FAILURE_OPTION]["code"] == "broker_unavailable"


def test_only_what_the_actor_asked_to_try_again_is_tried_again() -> None:
    broker = Embedded([SafeRetries()])
    actor = dramatiq.actor(actor_name="a", broker=broker)(lambda: None)
    proxy = dramatiq.broker.MessageProxy(actor.message())
    broker.middleware[0].after_process_message(broker, proxy, exception=ValueError("a bug"))
    assert proxy.failed


async def test_what_an_operator_cancelled_is_no_dead_letter() -> None:
    broker = Embedded([TimeLimit(), SafeRetries()])
    handle = AsyncMock(side_effect=[Cancelled.by_operator(), NotReady("Never.")])
    register(broker, Settings(secret_key="f3b1c9d27a8e4650b1c2d3e4f5a69788"), handle, AsyncMock())
    act = inspect.unwrap(broker.get_actor(ACTOR_NAMES[0]).fn)
    payload = json.loads(Path("proto/examples/render_request_thumbnail.v1.json").read_text())
    await act(payload)  # and with that its message is acknowledged
    with pytest.raises(NotReady):
        await act(payload)
