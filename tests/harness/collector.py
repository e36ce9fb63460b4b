"""An OTLP collector: takes traces over HTTP, as protobuf, and remembers their spans."""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.harness.http_server import PostServer


@dataclass(frozen=True)
class SpanSeen:
    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    is_error: bool
    began_ns: int
    ended_ns: int


class Collector(PostServer):
    def __init__(self) -> None:
        super().__init__()
        self._spans: list[SpanSeen] = []
        self._lock = threading.Lock()

    def spans(self, trace_id: str) -> list[SpanSeen]:
        with self._lock:
            return [span for span in self._spans if span.trace_id == trace_id]

    def take(self, path: str, headers: Any, body: bytes) -> None:
        assert path == "/v1/traces"
        plain = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
        request = ExportTraceServiceRequest.FromString(plain)
        with self._lock:
            for group in request.resource_spans:
                resource = {item.key: item.value.string_value for item in group.resource.attributes}
                for scope in group.scope_spans:
                    self._spans += [_seen(resource["service.name"], span) for span in scope.spans]


def _seen(service: str, span: Any) -> SpanSeen:
    attributes = {item.key: item.value.string_value or item.value.int_value for item in span.attributes}
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    is_error = span.status.code == span.status.STATUS_CODE_ERROR
    return SpanSeen(service, span.name, *ids, attributes, is_error, span.start_time_unix_nano, span.end_time_unix_nano)
