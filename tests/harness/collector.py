"""An OTLP collector: takes traces over HTTP, as protobuf, and remembers their spans."""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


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


class Collector:
    def __init__(self) -> None:
        self._spans: list[SpanSeen] = []
        self._lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector._take(self.path, ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def spans(self, trace_id: str) -> list[SpanSeen]:
        with self._lock:
            return [span for span in self._spans if span.trace_id == trace_id]

    def _take(self, path: str, request: ExportTraceServiceRequest) -> None:
        assert path == "/v1/traces"
        with self._lock:
            for group in request.resource_spans:
                resource = {item.key: item.value.string_value for item in group.resource.attributes}
                for scope in group.scope_spans:
                    self._spans += [_seen(resource["service.name"], span) for span in scope.spans]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _seen(service: str, span: Any) -> SpanSeen:
    attributes = {item.key: item.value.string_value or item.value.int_value for item in span.attributes}
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    is_error = span.status.code == span.status.STATUS_CODE_ERROR
    return SpanSeen(service, span.name, *ids, attributes, is_error, span.start_time_unix_nano, span.end_time_unix_nano)
