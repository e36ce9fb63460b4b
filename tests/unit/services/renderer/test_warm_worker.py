"""Messages of warm-up: waiting for a busy database uses up none of the tries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dramatiq
import pytest
from dramatiq.errors import Retry
from dramatiq.middleware import CurrentMessage

from services.renderer import warm_worker
from services.renderer.actors import BACKOFF_MS, SafeRetries
from services.renderer.warming import Busy
from shared.consuming import _why_unusable
from shared.errors import Internal, StoreUnavailable
from shared.messages import warm
from shared.messages.warm import WarmRequest
from shared.queue import WARM_ACTOR, WARM_QUEUE, Embedded
from shared.settings import Settings
from tests.samples.catalog import SECRET


class Worker:
    """The actor, whose work fails as it is told."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broker = Embedded([CurrentMessage(), SafeRetries()])
        self.warming = warm_worker.Warming(settings, self.broker, None)  # type: ignore[arg-type]
        self.warming._thread.start()
        self.message = dramatiq.broker.MessageProxy(self.broker.get_actor(WARM_ACTOR).message({}))
        self.monkeypatch = monkeypatch
        part = WarmRequest("run", 1, datetime.now(UTC), "c0ffee", 0)
        monkeypatch.setattr(warm, "decode", lambda _: part)
        self.given_up: list[Exception] = []
        monkeypatch.setattr(self.warming, "_give_up", self._give_up)

    async def _give_up(self, _: Any, error: Exception) -> None:
        self.given_up.append(error)

    def meet(self, error: Exception, raised_as: type[Exception] | None = None) -> int | None:
        """The delay of the retry; None when it is given up."""

        async def fail(_: Any) -> None:
            raise error

        self.monkeypatch.setattr(self.warming, "_carry_out", fail)
        self.broker.emit_before("process_message", self.message)
        with pytest.raises((Retry, raised_as or type(error))) as raised:
            self.broker.get_actor(WARM_ACTOR).fn({})
        self.message.options["retries"] = self.message.options.get("retries", 0) + 1  # as Dramatiq does
        return raised.value.delay if isinstance(raised.value, Retry) else None


@pytest.fixture
def worker(tmp_path, monkeypatch):
    made = Worker(Settings(secret_key=SECRET, state_dir=tmp_path), monkeypatch)
    yield made
    made.warming._loop.call_soon_threadsafe(made.warming._loop.stop)
    made.warming._thread.join(5)
    made.warming._loop.close()


def test_after_long_waits_for_a_busy_database_a_trouble_is_still_tried_again(worker):
    for _ in range(10):
        assert worker.meet(Busy("full"))
    assert worker.meet(StoreUnavailable("down")) == BACKOFF_MS[0]


def test_a_trouble_that_lasts_is_given_up(worker):
    assert [worker.meet(StoreUnavailable("down")) for _ in range(4)] == [*BACKOFF_MS, None]
    assert [str(error) for error in worker.given_up] == ["down"]  # the outcome gets the reason


def test_a_message_that_met_trouble_is_one_that_a_consumer_takes(worker):
    worker.meet(StoreUnavailable("down"))
    assert _why_unusable(worker.message, WARM_QUEUE) == ""


def test_a_fault_of_ours_is_the_end_of_it_and_its_reason(worker):
    assert worker.meet(KeyError("a bug"), raised_as=Internal) is None
    assert [type(error) for error in worker.given_up] == [Internal]
