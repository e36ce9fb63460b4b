"""Traces: request → publish → actor → steps, over all services, as OpenTelemetry has them.

There is one id. The correlation id, which every message carries anyway, is the trace's id; and the id of the span that
published a message is derived from the message's. So whoever handles the message knows its trace and its parent, and
no message has a field for it. Without `otlp_endpoint` nothing of OpenTelemetry is imported, and a span is nothing.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from shared.errors import VitrineError
from shared.heartbeats import our_version
from shared.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

Kind = Literal["internal", "server", "producer", "consumer"]
FLUSH_MS = 3000
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_PARENT = re.compile(r"[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_tracer: Tracer | None = None  # of this process, as its log is
_provider: Any = None
_wanted: ContextVar[tuple[int, int]] = ContextVar("wanted_ids", default=(0, 0))  # of the next span; 0: any


def configure(settings: Settings, service: str) -> None:
    """Once in a process, after it was forked. Other settings of the SDK are its own environment variables, OTEL_…"""
    global _tracer, _provider
    if settings.otlp_endpoint is None or _provider is not None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Ids(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return _wanted.get()[0] or super().generate_trace_id()

        def generate_span_id(self) -> int:
            return _wanted.get()[1] or super().generate_span_id()

    about = {
        "service.name": f"vitrine-{service}",
        "service.version": our_version(),
        "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
    }
    _provider = TracerProvider(resource=Resource.create(about), id_generator=Ids())
    exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint}/v1/traces")
    _provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = _provider.get_tracer("vitrine")


def is_on() -> bool:
    return _tracer is not None


def flush() -> None:
    """Sends what has ended. Blocks, a few seconds at most."""
    if _provider is not None:
        _provider.force_flush(FLUSH_MS)


@contextmanager
def span(
    name: str, *, trace: str = "", sends: str = "", handles: str = "", kind: Kind = "internal", **attributes: str | int
) -> Iterator[None]:
    """What happens inside, below the span that is current; without one, in the trace of the correlation id `trace`.

    `sends`, `handles`: the id of a message that is published inside, or handled.
    """
    if _tracer is None:
        yield
        return
    from opentelemetry.trace import use_span

    started = _start(
        _tracer, name, trace, sends=sends, parent=_remote(trace, handles), kind=kind, attributes=attributes
    )
    with use_span(started, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield
        except BaseException as error:  # told to the span, and raised again
            _fail(started, error)
            raise


def past(name: str, began: datetime, ended: datetime) -> None:
    """A span that was over before we knew of it."""
    if _tracer is not None:
        _tracer.start_span(name, start_time=_ns(began)).end(max(_ns(began), _ns(ended)))


class Request:
    """The span of an HTTP request, begun before its route is known. Only where `is_on()`."""

    def __init__(self, correlation_id: str, traceparent: str | None) -> None:
        from opentelemetry import context, trace

        assert _tracer is not None, "is_on() was asked"
        parent = _caller(traceparent) if correlation_id_of(traceparent) == correlation_id else None
        self._span = _start(_tracer, "request", correlation_id, parent=parent, kind="server")
        self._token = context.attach(trace.set_span_in_context(self._span))

    def end(self, method: str, route: str, status: int) -> None:
        from opentelemetry import context
        from opentelemetry.trace import Status, StatusCode

        context.detach(self._token)
        self._span.update_name(f"{method} {route}")
        values: dict[str, str | int] = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
        }
        self._span.set_attributes(values)
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def correlation_id_of(traceparent: str | None) -> str | None:
    """The trace that a caller is in already, if it says so as W3C's Trace Context does."""
    match = _PARENT.fullmatch(traceparent or "")
    return match[1] if match else None


def trace_id(correlation_id: str) -> int:
    """The correlation id itself where it has the form of one, else its hash."""
    return int(correlation_id if _TRACE_ID.fullmatch(correlation_id) else _hash(correlation_id, 16), 16)


def span_id(message_id: str) -> int:
    """Of the span that published a message."""
    return int(_hash(f"publish {message_id}", 8), 16) or 1


def _start(
    tracer: Tracer,
    name: str,
    correlation_id: str,
    *,
    sends: str = "",
    parent: Context | None = None,
    kind: Kind = "internal",
    attributes: dict[str, str | int] | None = None,
) -> Span:
    from opentelemetry.trace import SpanKind

    ids = (trace_id(correlation_id) if correlation_id else 0, span_id(sends) if sends else 0)
    token = _wanted.set(ids)
    try:
        return tracer.start_span(name, context=parent, kind=SpanKind[kind.upper()], attributes=attributes)
    finally:
        _wanted.reset(token)


def _remote(correlation_id: str, message_id: str) -> Context | None:
    """The place of a span in another process, as a context to begin in."""
    return _context(trace_id(correlation_id), span_id(message_id)) if message_id else None


def _caller(traceparent: str | None) -> Context | None:
    match = _PARENT.fullmatch(traceparent or "")
    return _context(int(match[1], 16), int(match[2], 16)) if match else None


def _context(trace: int, parent: int) -> Context:
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    flags = TraceFlags(TraceFlags.SAMPLED)
    return set_span_in_context(NonRecordingSpan(SpanContext(trace, parent, is_remote=True, trace_flags=flags)))


def _fail(started: Span, error: BaseException) -> None:
    """Its code and our own words; never those of a library, which may hold anything."""
    from opentelemetry.trace import Status, StatusCode

    ours = isinstance(error, VitrineError)
    started.set_attribute("error.type", error.code if isinstance(error, VitrineError) else type(error).__name__)
    started.set_status(Status(StatusCode.ERROR, str(error) if ours else None))


def _hash(text: str, size: int) -> str:
    return sha256(text.encode()).hexdigest()[: size * 2]


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1e9)
