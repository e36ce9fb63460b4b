"""Consumers of RabbitMQ's queues: what they refuse, how they bury, and how a long query is handed off.

RabbitMQ takes a message back from a consumer that does not acknowledge it in time (`consumer_timeout`, 30 minutes by
default), and would run a query of five hours ten times. So a query that lasts is handed off: its message is
acknowledged, and it goes on under the lease of its row. The thread that runs it stays occupied, and the consumer takes
that many messages less: none ever waits unacknowledged behind a long query.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import Any

import dramatiq
import pika
import structlog
from dramatiq.brokers.rabbitmq import _RabbitmqConsumer
from dramatiq.common import q_name
from dramatiq.errors import BrokerConnectionError

from shared import metrics

log = structlog.get_logger(__name__)
PRIORITY_OPTION = "broker_priority"
FAILURE_OPTION = "vitrine_failure"  # {"code", "reason"} in a dead letter's options
TROUBLES_OPTION = "troubles"  # how often a message of warm-up met an error that may pass
FULL_POLL_S = 0.1  # how soon a consumer whose threads are all busy sees that one is free


# What a message's options may hold: what Dramatiq's retries and ourselves write. Others (`throws`, `pipe_target`, …)
# would be acted upon before any actor sees the message.
_OPTIONS = {
    PRIORITY_OPTION: int,
    "retries": int,
    "eta": int,
    "requeue_timestamp": int,
    "traceback": str,
    FAILURE_OPTION: dict,
    TROUBLES_OPTION: int,
}


def _why_unusable(message: Any, queue_name: str) -> str:
    """Why Dramatiq's worker must not take a message, "" if it may. Some would end its threads, one after the other."""
    if message.queue_name != queue_name:
        return f"it says that it is for the queue {str(message.queue_name)[:100]!r}"
    if not (isinstance(message.actor_name, str) and isinstance(message.message_id, str)):
        return "its actor_name or message_id is no text"
    if not (isinstance(message.kwargs, dict) and isinstance(message.options, dict)):
        return "its kwargs or options are no object"
    wrong = [name for name, value in message.options.items() if type(value) is not _OPTIONS.get(name)]
    return f"its option {wrong[0][:100]!r} is not one that we use" if wrong else ""


class Consumer(_RabbitmqConsumer):
    """Dramatiq's, with reasons in dead letters, and hardened against messages that no producer of ours sends."""

    def __next__(self) -> Any:
        message = super().__next__()  # type: ignore[no-untyped-call]
        if message is None or not (why := _why_unusable(message, self.queue_name)):
            return message
        log.warning("message_refused", reason=why, queue=self.queue_name)
        letter: dramatiq.Message[Any] = dramatiq.Message(
            queue_name=q_name(self.queue_name),
            actor_name=str(message.actor_name),
            args=(),
            kwargs={"message": message.asdict()},  # all of it, for whoever looks what it was
            options={FAILURE_OPTION: {"code": "invalid_input", "reason": f"The message is refused: {why}."}},
        )
        metrics.DEAD_LETTERS.labels("invalid_input").inc()
        self._bury(message, letter)
        return None

    def nack(self, message: Any) -> None:
        """Dead-letter with the reason: RabbitMQ itself would move the original, which does not know why it failed."""
        failure = message.options.get(FAILURE_OPTION) or self._not_taken(message)
        self._bury(message, message.copy(queue_name=message.queue_name, options={FAILURE_OPTION: failure}))

    def _bury(self, message: Any, letter: Any) -> None:
        try:
            self.broker.publish_dead_letter(letter)
        except (BrokerConnectionError, pika.exceptions.AMQPError):
            log.warning("dead_letter_without_reason", message_id=message.message_id, **letter.options[FAILURE_OPTION])
            super().nack(message)  # type: ignore[no-untyped-call]  # the original still goes to the dead-letter queue, by its queue's own rule
            return
        self.ack(message)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        try:
            super().close()  # type: ignore[no-untyped-call]  # leaves the connection open when the channel is closed already
        finally:
            if self.connection.is_open:
                with contextlib.suppress(pika.exceptions.AMQPError):
                    self.connection.close()

    def _not_taken(self, message: Any) -> dict[str, str]:
        """Why a message failed before any actor had it. It is counted here: the middleware never sees it."""
        if message.actor_name not in self.broker.actors:
            failure = {"code": "invalid_input", "reason": f"This worker has no actor named {message.actor_name!r}."}
        else:
            failure = {"code": "internal", "reason": "The worker could not process it; see its log."}
        metrics.DEAD_LETTERS.labels(failure["code"]).inc()
        return failure


@dataclass(slots=True)
class _Held:
    consumer: object | None  # that has to acknowledge it; None: nobody, its query goes on under its lease
    generation: object


class Hands:
    """The messages of one queue that a process works on, by their ids: at most as many as it has threads.

    Shared by the consumer, which is made anew when its connection breaks, and the worker's threads.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._asked: set[str] = set()

    def take(self, message_id: str, consumer: object, generation: object) -> bool:
        """False for what is in hand already: delivered again, as an earlier connection was lost."""
        with self._lock:
            if message_id in self._held:
                return False
            self._held[message_id] = _Held(consumer, generation)
            return True

    def done(self, message_id: str, consumer: object) -> bool:
        """Out of hand; whether `consumer` has to acknowledge it."""
        with self._lock:
            self._asked.discard(message_id)
            held = self._held.pop(message_id, None)
            return held is None or held.consumer is consumer

    def hand_off(self, message_id: str) -> None:
        """Asks for its acknowledgement while it is being worked on."""
        with self._lock:
            held = self._held.get(message_id)
            if held is not None and held.consumer is not None:
                self._asked.add(message_id)

    @property
    def is_asked(self) -> bool:
        return bool(self._asked)

    def let_go(self) -> list[str]:
        """Those whose acknowledgement was asked for: the caller gives it, and nobody else will."""
        with self._lock:
            asked = [one for one in self._asked if one in self._held]
            self._asked.clear()
            for one in asked:
                self._held[one].consumer = None
            return asked

    def forget_consumers(self) -> None:
        """The connection is gone, and with it what it had to acknowledge."""
        with self._lock:
            self._asked.clear()
            for held in self._held.values():
                held.consumer = None

    def room(self, generation: object) -> int:
        """How many messages of this generation there may be."""
        with self._lock:
            return self._threads - sum(held.generation is not generation for held in self._held.values())


class HandingConsumer(Consumer):
    """Takes no more messages than there are threads without a query, handed off or not.

    RabbitMQ counts what was not acknowledged by each start of a consumer (a generation here), so it is started again
    when a message is handed off and when one of an earlier generation is done. All but `ack` and `nack` runs on the
    consumer's own thread, as pika demands.
    """

    def __init__(self, broker: Any, queue_name: str, prefetch: int, timeout: int, hands: Hands) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call]
        self._hands = hands
        self._idle_s = timeout / 1000
        self._tags: dict[str, int] = {}
        self._generation = object()
        self._room = -1  # not started
        hands.forget_consumers()

    def __next__(self) -> Any:
        try:
            if self._hands.is_asked or self._hands.room(self._generation) != self._room:
                self._start_again()
            if self._room == 0:
                self.connection.process_data_events(FULL_POLL_S)
                return None
        except (AssertionError, pika.exceptions.AMQPError) as error:
            raise BrokerConnectionError(str(error)) from None  # type: ignore[no-untyped-call]
        message = super().__next__()
        if message is None:
            return None
        if not self._hands.take(message.message_id, self, self._generation):
            super().ack(message)  # type: ignore[no-untyped-call]
            return None
        self._tags[message.message_id] = message._tag
        return message

    def _start_again(self) -> None:
        if self._room > 0:
            self.channel.cancel()  # what it holds and nobody has seen goes back to the queue
        for message_id in self._hands.let_go():
            tag = self._tags.pop(message_id, None)
            if tag in self.known_tags:
                self.known_tags.remove(tag)
                self.channel.basic_ack(tag)
                log.info("query_handed_off", message_id=message_id)
        self._generation = object()
        self._room = self._hands.room(self._generation)
        if self._room > 0:
            self.channel.basic_qos(prefetch_count=self._room)
            self.iterator = self.channel.consume(self.queue_name, inactivity_timeout=self._idle_s)

    def ack(self, message: Any) -> None:
        if self._hands.done(message.message_id, self):
            super().ack(message)  # type: ignore[no-untyped-call]
        self._tags.pop(message.message_id, None)

    def nack(self, message: Any) -> None:
        super().nack(message)
        self._hands.done(message.message_id, self)
