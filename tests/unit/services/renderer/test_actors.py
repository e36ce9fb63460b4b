"""A retry that cannot be published is a dead letter, never lost."""

from __future__ import annotations

from typing import Any

import dramatiq
import pytest
from dramatiq.errors import ConnectionClosed, Retry

from services.renderer.actors import SafeRetries
from shared.consuming import FAILURE_OPTION
from shared.queue import Embedded


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
