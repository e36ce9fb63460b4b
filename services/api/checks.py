"""Whether a dependency answers, and the reason if not: for /readyz and the log."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog

from shared.errors import BrokerUnavailable, Internal, VitrineError
from shared.settings import Settings

CHECK_TIMEOUT_S = 2.0
_AMQP_GREETING = b"AMQP\x00\x00\x09\x01"  # AMQP 0-9-1; RabbitMQ answers with Connection.Start before any credential
_METHOD_FRAME = 1

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """One dependency. `reason` may name hosts and paths: it is for the log, and for nobody who asks over HTTP."""

    ok: bool
    reason: str
    code: str = ""  # of the error, when it is not ok


async def checked(check: Callable[[], Awaitable[str]]) -> Check:
    """The outcome of a check within its time; never raises."""
    try:
        return Check(True, await asyncio.wait_for(check(), CHECK_TIMEOUT_S))
    except VitrineError as error:
        return Check(False, error.message, error.code)
    except TimeoutError:
        return Check(False, f"does not answer within {CHECK_TIMEOUT_S:g} s", "timeout")
    except Exception as error:  # a health check must tell, not fall: any other fault of a driver is a reason too
        log.warning("check_failed", exc_info=error)
        return Check(False, f"{type(error).__name__} while checking; see the log", Internal.code)


async def check_broker(settings: Settings) -> str:
    """One line on the broker. Says hello as a client would, without logging in. Raises BrokerUnavailable."""
    if settings.embedded:
        return "embedded in this process"
    parts = urlsplit(settings.broker_url)
    secure = parts.scheme == "amqps"
    host, port = parts.hostname or "localhost", parts.port or (5671 if secure else 5672)
    place = f"The message broker at {host}:{port}"
    try:
        context = ssl.create_default_context() if secure else None
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
    except OSError as error:
        raise BrokerUnavailable(f"{place} does not answer: {error.strerror or error}.") from error
    try:
        writer.write(_AMQP_GREETING)
        frame = await reader.read(1)
    except OSError as error:
        raise BrokerUnavailable(f"{place} hung up.") from error
    finally:
        writer.close()
    if frame != bytes([_METHOD_FRAME]):
        raise BrokerUnavailable(f"{place} does not speak AMQP 0-9-1.")
    return f"{host}:{port}: answers"
